"""The API server, as whoever measures sees it: writes of its own, one watch, its metrics and its audit log."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

GROUP = "/apis/drover.dev/v1alpha1"
# Who Drover's controller is, as the manifests name it: what it may do and how it is throttled is decided by that.
CONTROLLER = "system:serviceaccount:drover-system:drover-controller"
WRITERS = 12
WRITES = ("create", "update", "patch", "delete", "deletecollection")


class Api:
    """An administrator's connections, one for each thread."""

    def __init__(self, kubeconfig: Path, audit_log: Path):
        self.audit_log = audit_log
        self.config = json.loads(kubeconfig.read_text())
        cluster = self.config["clusters"][0]["cluster"]
        self.server = cluster["server"].split("//")[1]
        user = self.config["users"][0]["user"]
        folder = kubeconfig.parent
        files = {}
        for name, text in (("ca", cluster["certificate-authority-data"]), ("crt", user["client-certificate-data"]),
                           ("key", user["client-key-data"])):
            files[name] = folder / f"bench.{name}"
            files[name].write_bytes(base64.b64decode(text))
        self.tls = ssl.create_default_context(cafile=str(files["ca"]))
        self.tls.load_cert_chain(files["crt"], files["key"])
        self.local = threading.local()

    def controllers_kubeconfig(self, path: Path) -> Path:
        """The same for the controller, which is not an administrator."""
        config = json.loads(json.dumps(self.config))
        config["users"][0]["user"].update({"as": CONTROLLER, "as-groups": [
            "system:serviceaccounts", "system:serviceaccounts:drover-system", "system:authenticated"]})
        path.write_text(json.dumps(config))
        return path

    def connect(self, timeout: float | None = 60) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(self.server, context=self.tls, timeout=timeout)

    def call(self, method: str, path: str, body: dict | None = None, kind: str = "application/json") -> bytes:
        connection = getattr(self.local, "connection", None)
        fresh = connection is None
        if fresh:
            connection = self.local.connection = self.connect()
        try:
            connection.request(method, path, None if body is None else json.dumps(body), {"Content-Type": kind})
            answer = connection.getresponse()
        except (ConnectionError, http.client.HTTPException):
            # The server closes those that were idle for long.
            if fresh:
                raise
            self.local.connection = None
            return self.call(method, path, body, kind)
        text = answer.read()
        if answer.status >= 300:
            raise SystemExit(f"{method} {path}: {answer.status} {text[:500]!r}")
        return text

    def all(self, calls: list[tuple]) -> float:
        """Makes all these calls, several side by side; returns the seconds that it took."""
        began = time.monotonic()
        with ThreadPoolExecutor(WRITERS) as pool:
            for _ in pool.map(lambda call: self.call(*call), calls):
                pass
        return time.monotonic() - began

    def requests(self) -> dict[str, int]:
        """Requests that the API server has answered, of everybody, by verb and resource."""
        found: dict[str, int] = {}
        for line in self.call("GET", "/metrics").decode().splitlines():
            if not line.startswith("apiserver_request_total{"):
                continue
            labels, value = line[len("apiserver_request_total{"):].rsplit("} ", 1)
            named = dict(pair.split("=", 1) for pair in labels.split(",") if "=" in pair)
            resource = named.get("resource", '""').strip('"')
            if sub := named.get("subresource", '""').strip('"'):
                resource += "/" + sub
            key = f"{named['verb'].strip(chr(34))} {resource}"
            found[key] = found.get(key, 0) + int(float(value))
        return found

    def writes(self, offset: int, writers: tuple[str, ...] = (CONTROLLER,)) -> tuple[list[Write], int]:
        """What these users have written since this place in the audit log, and the place to go on from."""
        found, needles = [], [each.encode() for each in writers]
        with self.audit_log.open("rb") as log:
            log.seek(offset)
            for line in log:
                if not line.endswith(b"\n"):
                    break
                offset += len(line)
                if not any(needle in line for needle in needles):
                    continue
                write = Write(json.loads(line))
                if write.who in writers and write.verb in WRITES and not write.is_question:
                    found.append(write)
        return found, offset


class Write:
    def __init__(self, event: dict):
        self.who = (event.get("impersonatedUser") or event["user"])["username"]
        about = event.get("objectRef", {})
        self.verb = event["verb"]
        self.resource = about.get("resource", "")
        if about.get("subresource"):
            self.resource += "/" + about["subresource"]
        self.key = (about.get("namespace", ""), about.get("name", ""))
        self.code = event.get("responseStatus", {}).get("code", 0)
        self.at = datetime.fromisoformat(event["requestReceivedTimestamp"].replace("Z", "+00:00")).timestamp()

    @property
    def is_lease(self) -> bool:
        return self.resource == "leases"

    @property
    def is_question(self) -> bool:
        """Of someone's rights or token: it is created, and nothing is kept of it."""
        return self.resource.endswith("reviews")


def count(writes: list[Write]) -> dict[str, int]:
    """How many there are of each kind; those that were refused, with their answer."""
    found: dict[str, int] = {}
    for write in writes:
        key = f"{write.verb} {write.resource}" + (f" ({write.code})" if write.code >= 300 else "")
        found[key] = found.get(key, 0) + 1
    return dict(sorted(found.items()))


class Fleets(threading.Thread):
    """What one watch shows of all KafkaConsumers, or of another kind with a condition Ready."""

    def __init__(self, api: Api, collection: str = f"{GROUP}/kafkaconsumers"):
        super().__init__(daemon=True)
        self.api, self.collection = api, collection
        # By key: wanted generation, observed generation, status and reason of Ready.
        self.seen: dict[tuple[str, str], tuple] = {}
        self.changed = threading.Condition()
        self.error: Exception | None = None

    def run(self):
        try:
            version = "0"
            while True:
                connection = self.api.connect(timeout=None)
                connection.request("GET", f"{self.collection}?watch=1&allowWatchBookmarks=true&resourceVersion={version}")
                answer = connection.getresponse()
                if answer.status != 200:
                    # A kind that is new is not served at once.
                    if answer.status not in (404, 429, 503):
                        raise RuntimeError(f"watch: {answer.status} {answer.read()[:300]!r}")
                    time.sleep(0.5)
                    continue
                for line in iter(answer.readline, b""):
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        raise RuntimeError(f"watch: {event['object']}")
                    version = event["object"]["metadata"]["resourceVersion"]
                    self.take(event["type"], event["object"])
        except Exception as error:  # told by whoever waits
            with self.changed:
                self.error = error
                self.changed.notify_all()

    def take(self, kind: str, resource: dict):
        if kind == "BOOKMARK":
            return
        meta, status = resource["metadata"], resource.get("status", {})
        key = (meta["namespace"], meta["name"])
        with self.changed:
            if kind == "DELETED":
                self.seen.pop(key, None)
            else:
                ready = next((each for each in status.get("conditions", []) if each["type"] == "Ready"), {})
                self.seen[key] = (
                    meta["generation"], status.get("observedGeneration", 0), ready.get("status"), ready.get("reason"))
            self.changed.notify_all()

    def wait(self, what: str, true, seconds: float) -> float:
        """Waits until `true` of what is seen; returns the seconds that it took."""
        began = time.monotonic()
        with self.changed:
            while not true(self.seen):
                left = began + seconds - time.monotonic()
                if self.error or left <= 0:
                    reasons: dict = {}
                    for state in self.seen.values():
                        reasons[state[2:]] = reasons.get(state[2:], 0) + 1
                    raise SystemExit(f"{what}: not within {seconds:.0f} s; {self.error or ''} {reasons}")
                self.changed.wait(min(left, 5))
                # Not after each of thousands of events.
                self.changed.release()
                time.sleep(0.05)
                self.changed.acquire()
        return time.monotonic() - began
