"""Produces records at their moments, and answers how many came lately: the rate that one of KEDA's triggers asks for."""

from __future__ import annotations

import json
import threading
import time
from bisect import bisect_left
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

BODY = json.dumps({"key": "bench", "pad": "x" * 60}).encode()


class Feed:
    """The only producer of its topics, so it knows each record's offset and time."""

    def __init__(self, servers: str) -> None:
        from confluent_kafka import Producer

        self._producer = Producer({"bootstrap.servers": servers, "linger.ms": 2, "acks": "all", "log_level": 2})
        self._failed: list[str] = []
        # (topic, partition) to the time of each offset, seconds since 1970
        self.times: dict[tuple[str, int], list[float]] = {}
        self.all: list[float] = []

    def send(self, topic: str, partition: int) -> None:
        at = time.time()
        while True:
            try:
                self._producer.produce(topic, BODY, partition=partition, timestamp=int(at * 1000), on_delivery=self._told)
                break
            except BufferError:
                self._producer.poll(0.05)
        self.times.setdefault((topic, partition), []).append(at)
        self.all.append(at)

    def _told(self, error, message) -> None:
        if error:
            self._failed.append(str(error))

    def flush(self) -> None:
        self._producer.flush(60)
        if self._failed:
            raise RuntimeError(f"{len(self._failed)} records were not produced: {self._failed[0]}")

    def poll(self) -> None:
        self._producer.poll(0)

    def play(self, topic: str, moments: list[tuple[float, int]], told) -> float:
        """Produces at these moments from now on; calls `told(seconds)` about once a second. Returns the worst lateness."""
        began, late, spoken = time.time(), 0.0, -1
        for at, partition in moments:
            while (left := began + at - time.time()) > 0:
                self.poll()
                time.sleep(min(left, 0.01))
                if int(time.time() - began) != spoken:
                    spoken = int(time.time() - began)
                    told(spoken)
            late = max(late, time.time() - began - at)
            self.send(topic, partition)
        self.flush()
        return late

    def rate(self, window: float) -> float:
        """Records a second over so many seconds."""
        since = time.time() - window
        return (len(self.all) - bisect_left(self.all, since)) / window


class RateServer:
    """`GET /rate?seconds=24` on loopback."""

    def __init__(self, feed: Feed) -> None:
        class Answer(BaseHTTPRequestHandler):
            def do_GET(self):
                window = float(parse_qs(urlsplit(self.path).query)["seconds"][0])
                body = json.dumps({"rate": round(feed.rate(window), 3)}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self._server.server_port}/rate"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
