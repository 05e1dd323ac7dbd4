"""A mail server and a webhook on this machine, over real sockets; what arrived is in lists."""

from __future__ import annotations

import base64
import json
import socketserver
import threading
from email import message_from_bytes
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Postbox:
    """``mails`` and ``posts`` as they came. ``refuse`` makes both answer with a failure."""

    def __init__(self) -> None:
        self.mails: list[Message] = []
        self.posts: list[str] = []
        self.logins: list[str] = []
        self.refuse = False
        smtp = _Threaded(("127.0.0.1", 0), _smtp(self))
        web = ThreadingHTTPServer(("127.0.0.1", 0), _webhook(self))
        self._servers: list[socketserver.BaseServer] = [smtp, web]
        self.smtp_url = f"smtp://mailer:{PASSWORD}@127.0.0.1:{smtp.server_address[1]}"
        self.webhook_url = f"http://127.0.0.1:{web.server_address[1]}/services/{HOOK_SECRET}"
        for server in self._servers:
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()

    def subjects(self) -> list[str]:
        return [str(mail["Subject"]) for mail in self.mails]

    def close(self) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()


PASSWORD, HOOK_SECRET = "mail-password-of-the-tests", "T000/B000/hook-of-the-tests"


class _Threaded(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


def _smtp(box: Postbox) -> type[socketserver.StreamRequestHandler]:
    class Handler(socketserver.StreamRequestHandler):
        timeout = 10

        def say(self, text: str) -> None:
            self.wfile.write(text.encode() + b"\r\n")

        def handle(self) -> None:
            self.say("220 postbox")
            while line := self.rfile.readline().decode().strip():
                verb = line.split(" ")[0].upper()
                if verb == "EHLO":
                    self.say("250-postbox\r\n250 AUTH PLAIN")
                elif verb == "AUTH":
                    box.logins.append(base64.b64decode(line.split(" ")[-1]).decode())
                    self.say("235 welcome")
                elif verb == "DATA":
                    self.take()
                elif verb == "QUIT":
                    self.say("221 bye")
                    return
                else:
                    self.say("451 not now" if box.refuse and verb == "MAIL" else "250 ok")

        def take(self) -> None:
            self.say("354 go on")
            lines = []
            while (line := self.rfile.readline()) != b".\r\n":
                lines.append(line.removeprefix(b"."))  # which the sender has put before a dot
            box.mails.append(message_from_bytes(b"".join(lines)))
            self.say("250 taken")

    return Handler


def _webhook(box: Postbox) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            """Logs nothing."""

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            known = self.path == f"/services/{HOOK_SECRET}" and not box.refuse
            if known:
                box.posts.append(json.loads(body)["text"])
            self.send_response(200 if known else 503)
            self.send_header("content-length", "0")
            self.end_headers()

    return Handler
