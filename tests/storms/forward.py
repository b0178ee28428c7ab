"""A command for handler.exec: hands each record to the witness, and says what it said.

Usage: forward.py ADDRESS POD. Ends with whoever started it, as in a container.
"""

import ctypes
import http.client
import json
import signal
import sys

PR_SET_PDEATHSIG = 1
RESULTS = {200: "done", 422: "reject", 503: {"result": "slow-down", "retryAfter": 0}}


def handled(connection, pod, record):
    """What became of one record."""
    place = {f"Drover-{name.capitalize()}": str(record[name]) for name in ("partition", "offset")}
    try:
        connection.request("POST", f"/{pod}", headers=place | {"Content-Length": "0"})
        answer = connection.getresponse()
        answer.read()
    except (OSError, http.client.HTTPException):
        connection.close()
        return "retry"
    return RESULTS.get(answer.status, "retry")


def main():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    address, pod = sys.argv[1:]
    connection = http.client.HTTPConnection(address)
    for line in sys.stdin:
        given = json.loads(line)
        if "records" in given:
            answer = {"results": [handled(connection, pod, record) for record in given["records"]]}
        else:
            answer = handled(connection, pod, given)
        print(json.dumps(answer), flush=True)


main()
