"""Welcomes users. What comes was encrypted in Kafka and is not any more: the worker has decrypted it."""

import json
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Users(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # connections are kept

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            event = json.loads(body)
            was = "encrypted" if self.headers.get("Drover-Decrypted") else "in the clear"
            print(f"{event['event_type']} {event['user_id']}, was {was}", flush=True)
            self.answer(204)
        except (ValueError, KeyError, TypeError):
            self.answer(422)

    def do_GET(self):
        self.answer(204)

    def answer(self, status):
        self.send_response(status)
        if status != 204:
            # Else whoever asks waits for the connection's end.
            self.send_header("Content-Length", "0")
        self.end_headers()

    def log_request(self, *_):
        """A line for each request says nothing here."""


signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
ThreadingHTTPServer(("", 8080), Users).serve_forever()
