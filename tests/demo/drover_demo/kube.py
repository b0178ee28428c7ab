"""The Kubernetes API through `kubectl proxy`: plain HTTP on loopback, whatever the kubeconfig's credentials are."""

from __future__ import annotations

import http.client
import json
import subprocess
import threading
from typing import Callable, Iterator
from urllib.parse import urlencode

from .shell import Failure


class Kube:
    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment
        self._stopping = threading.Event()
        self._proxy = subprocess.Popen(
            ["kubectl", "proxy", "--port=0"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL, text=True)
        first = self._proxy.stdout.readline()  # Starting to serve on 127.0.0.1:41967
        if ":" not in first:
            raise Failure("kubectl proxy did not start; try it by hand with the KUBECONFIG above")
        self._port = int(first.rsplit(":", 1)[1])

    def close(self) -> None:
        self._stopping.set()
        self._proxy.terminate()
        self._proxy.wait()

    @property
    def port(self) -> int:
        """Where the API answers on 127.0.0.1, over plain HTTP."""
        return self._port

    def request(self, path: str, method: str = "GET", body: bytes | None = None) -> bytes:
        """The body of a 2xx answer; anything else is an OSError."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            found = answer.read()
        except http.client.HTTPException as error:
            raise OSError(f"{method} {path}: {error!r}") from error
        finally:
            connection.close()
        if answer.status >= 300:
            raise OSError(f"{method} {path}: {answer.status} {found[:300].decode('utf-8', 'replace')}")
        return found

    def get(self, path: str, **query: str) -> dict:
        return json.loads(self.request(path + ("?" + urlencode(query) if query else "")))

    def watch(self, path: str, seen: Callable[[str, dict], None], **query: str) -> None:
        """Calls `seen(type, object)` for what is there and for each change, in a thread of its own."""
        threading.Thread(target=self._watch, args=(path, seen, query), daemon=True).start()

    def _watch(self, path: str, seen: Callable[[str, dict], None], query: dict[str, str]) -> None:
        while not self._stopping.is_set():
            try:
                listed = self.get(path, **query)
                for item in listed.get("items") or []:
                    seen("ADDED", item)
                # The items of a list do not say it themselves, so a watch goes on from the list's version.
                version = listed["metadata"]["resourceVersion"]
                for kind, item in self._changes(path, dict(query, watch="1", resourceVersion=version)):
                    if kind == "ERROR":
                        break
                    seen(kind, item)
            except (OSError, ValueError, KeyError, http.client.HTTPException):
                # Cut off or too old: look at everything again.
                self._stopping.wait(0.5)

    def _changes(self, path: str, query: dict[str, str]) -> Iterator[tuple[str, dict]]:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=300)
        try:
            connection.request("GET", f"{path}?{urlencode(query)}")
            answer = connection.getresponse()
            if answer.status >= 300:
                raise OSError(f"watch {path}: {answer.status}")
            while line := answer.readline():
                change = json.loads(line)
                yield change["type"], change["object"]
        finally:
            connection.close()
