"""Charges payments: each record is a POST; 2xx means done, 4xx never, anything else try again.

It would charge twice if it were asked twice: that it is not is the worker's work.
"""

import json
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Payments(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # connections are kept

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        try:
            payment = json.loads(body)
            print(f"charged {payment['customer']}: {payment['sum']}", flush=True)
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
ThreadingHTTPServer(("", 8080), Payments).serve_forever()
