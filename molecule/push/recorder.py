"""Writes down what fastapi_notify sends, a line each: recorder.py FILE."""

from __future__ import annotations

import http.server
import sys


class Recorder(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with open(sys.argv[1], "ab") as file:
            file.write(body.replace(b"\n", b" ") + b"\n")
        self.send_response(204)
        self.end_headers()


http.server.HTTPServer(("127.0.0.1", 8098), Recorder).serve_forever()
