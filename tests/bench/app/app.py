"""Counts visits, as the shell baseline's app does: reads from the server that is read from, writes to the primary."""
import json
import os
import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pymysql

from database import read, write

HOST = socket.gethostname()


class App(BaseHTTPRequestHandler):
    def answer(self, status, body):
        data = (json.dumps(body) + "\n").encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        try:
            if self.path == "/healthz":
                read("SELECT 1")
                self.answer(200, {"ok": True})
            else:
                self.answer(200, {"host": HOST, "visits": read("SELECT COUNT(*) FROM visits")[0][0]})
        except (OSError, pymysql.Error) as e:
            self.answer(503, {"host": HOST, "error": str(e)})

    def do_POST(self):
        try:
            write("INSERT INTO visits (host) VALUES (%s)", HOST)
            self.answer(201, {"host": HOST})
        except (OSError, pymysql.Error) as e:
            self.answer(503, {"host": HOST, "error": str(e)})

    def log_message(self, *args):
        pass


host, port = os.environ["LISTEN"].rsplit(":", 1)
ThreadingHTTPServer((host, int(port)), App).serve_forever()
