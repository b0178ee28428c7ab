"""Handles invoices: a line of JSON for each record comes in, a line with the result goes out.

Standard error is the log. Nothing but results may go to standard output.
"""

import json
import sys


def handle(record):
    """The result for a record: done, retry, reject, …"""
    try:
        invoice = json.loads(record["value"])
        sum_of_all = sum(item["price"] * item["count"] for item in invoice["items"])
    except (TypeError, KeyError, ValueError) as error:
        # It will never succeed: it goes to the dead-letter topic with these words.
        return {"result": "reject", "error": f"no invoice: {type(error).__name__}"}
    print(f"invoice {invoice['id']}: {sum_of_all}", file=sys.stderr, flush=True)
    return {"result": "done"}


# Anything else that goes wrong ends the process: the record it had has failed once and is tried again.
for line in sys.stdin:
    record = json.loads(line)
    # With its offset, so that a result is never taken for another record's.
    print(json.dumps({"offset": record["offset"]} | handle(record)), flush=True)
