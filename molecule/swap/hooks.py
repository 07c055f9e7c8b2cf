"""Who is told, for a test: records each request as a line of JSON, and does as its path says.

/hang answers never, /500 badly, anything else well. Used: python3 hooks.py PORT FILE
"""

from __future__ import annotations

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PORT, FILE = int(sys.argv[1]), sys.argv[2]
lock = threading.Lock()


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        with lock, open(FILE, "a", encoding="utf-8") as file:
            file.write(json.dumps({"path": self.path, "body": json.loads(body)}) + "\n")
        if self.path == "/hang":
            threading.Event().wait(60)
        self.send_response(500 if self.path == "/500" else 200)
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        pass


ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
