"""Prometheus, which reads controller and workers as the chart's PodMonitors ask for it.

Debian's build does not find pods by itself, so the targets are written into a file that it watches; and it reads them
through the API server (`kubectl proxy`), so that it does not matter where pods can be reached from.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from drover_demo.kube import Kube
from drover_demo.shell import Failure

SCRAPE = 5  # seconds between two looks
# As in charts/drover/templates/monitoring/podmonitors.yaml.
CONTROLLERS = "app.kubernetes.io/name=drover-controller"
WORKERS = "app.kubernetes.io/name=drover-worker,app.kubernetes.io/managed-by=drover"
CONSUMER = "drover.dev/consumer"


class Prometheus:
    def __init__(self, kube: Kube) -> None:
        program = shutil.which("prometheus")
        if program is None:
            raise Failure("the program prometheus is missing; make setup installs it")
        self._kube = kube
        self._folder = Path(tempfile.mkdtemp(prefix="drover-pictures-"))
        self._lock = threading.Lock()
        self._pods: dict[str, dict] = {}
        self._write()
        (self._folder / "prometheus.yml").write_text(json.dumps({
            "global": {"scrape_interval": f"{SCRAPE}s", "scrape_timeout": f"{SCRAPE - 1}s"},
            "scrape_configs": [{"job_name": "drover", "file_sd_configs": [{"files": ["targets.json"]}]}]}))
        self._port = _free_port()
        with open(self._folder / "log", "wb") as log:
            self._process = subprocess.Popen(
                [program, f"--config.file={self._folder}/prometheus.yml", f"--storage.tsdb.path={self._folder}/data",
                 f"--web.listen-address=127.0.0.1:{self._port}", "--log.level=warn"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        for selector in (CONTROLLERS, WORKERS):
            kube.watch("/api/v1/pods", self._see, labelSelector=selector)
        deadline = time.monotonic() + 30
        while True:
            try:
                self.ask("query", {"query": "vector(1)"})
                return
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    said = (self._folder / "log").read_text()
                    self.close()
                    raise Failure(f"Prometheus does not start; it said:\n{said}") from None
                time.sleep(0.2)

    def ask(self, path: str, parameters: dict[str, str]) -> list[dict]:
        """The result of a query, or of a query_range."""
        address = f"http://127.0.0.1:{self._port}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(address, timeout=30) as answer:
                return json.load(answer)["data"]["result"]
        except urllib.error.HTTPError as error:
            raise Failure(f"Prometheus refuses {parameters['query']}: {error.read().decode('utf-8', 'replace')}") from error

    def unread(self) -> list[str]:
        """The pods that cannot be read now."""
        found = self.ask("query", {"query": "up == 0"})
        return sorted(each["metric"]["pod"] for each in found)

    def close(self) -> None:
        self._process.terminate()
        self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _see(self, kind: str, pod: dict) -> None:
        with self._lock:
            if kind == "DELETED":
                self._pods.pop(pod["metadata"]["uid"], None)
            else:
                self._pods[pod["metadata"]["uid"]] = pod
            self._write()

    def _write(self) -> None:
        groups = [group for pod in self._pods.values() if (group := target(pod, self._kube.port))]
        written = self._folder / "targets.new"
        written.write_text(json.dumps(groups))
        written.rename(self._folder / "targets.json")


def target(pod: dict, proxy: int) -> dict | None:
    """A pod as an entry of a file of targets, with the labels that the Prometheus operator and the chart give; None while
    it does not run."""
    status = pod.get("status", {})
    if not status.get("podIP") or status.get("phase") != "Running":
        return None
    named = [port for container in pod["spec"]["containers"] for port in container.get("ports") or [] if port.get("name") == "admin"]
    if not named:
        return None
    namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
    port = named[0]["containerPort"]
    labels = {"__metrics_path__": f"/api/v1/namespaces/{namespace}/pods/{name}:{port}/proxy/metrics", "namespace": namespace,
              "pod": name, "instance": f"{status['podIP']}:{port}"}
    consumer = pod["metadata"].get("labels", {}).get(CONSUMER)
    if consumer:
        labels["consumer"] = f"{namespace}/{consumer}"
    return {"targets": [f"127.0.0.1:{proxy}"], "labels": labels}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
