"""The proxy examples of deploy/, run for real with nginx and Caddy: with our certificate and our
ports in them, the rest as it is written."""

from __future__ import annotations

import http.client
import http.server
import os
import shutil
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.certificates import Authority
from tests.company import Company, free_port
from tests.forked import start_tied
from tests.integration.test_web import TOKEN, headers
from tests.waiting import wait_for
from watcher.ledger import channels
from watcher.ledger.secrets import digest
from watcher.telemetry import traces

pytestmark = [pytest.mark.system, pytest.mark.one_shape("sqlite")]

DEPLOY = Path(__file__).parents[2] / "deploy"
HOST = "watcher.example.com"
PROXIES = pytest.mark.parametrize(
    "kind",
    [
        pytest.param(
            kind,
            marks=pytest.mark.skipif(shutil.which(kind) is None, reason=f"there is no {kind}"),
        )
        for kind in ("nginx", "caddy")
    ],
)
NGINX = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
{user}
events {{ worker_connections 256; }}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {site}
}}
"""


class Proxy:
    """One that runs, and how to talk to it. Its certificate is checked."""

    def __init__(self, port: int, authority: Authority) -> None:
        self.port = port
        self.context = ssl.create_default_context(cafile=authority.file)

    def connect(self) -> ssl.SSLSocket:
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        return self.context.wrap_socket(plain, server_hostname=HOST)

    def ask(
        self, method: str, path: str, sent: dict[str, str] | None = None, body: bytes = b""
    ) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection(HOST)
        connection.sock = self.connect()
        connection.request(method, path, body=body or None, headers=sent or {})
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer

    def is_up(self) -> bool:
        try:
            self.connect().close()
        except OSError:
            return False
        return True


def replaced(text: str, *pairs: tuple[str, str]) -> str:
    """Each of them is in the example, else it would not be the example that is tried."""
    for old, new in pairs:
        assert old in text, old
        text = text.replace(old, new)
    return text


def nginx(folder: Path, port: int, upstream: int, pem: str) -> list[str]:
    site = replaced(
        (DEPLOY / "nginx.conf.example").read_text(),
        ("listen 443 ssl;", f"listen 127.0.0.1:{port} ssl;"),
        ("    listen [::]:443 ssl;\n", ""),
        ("127.0.0.1:8080", f"127.0.0.1:{upstream}"),
        ("/etc/letsencrypt/live/watcher.example.com/fullchain.pem", pem),
        ("/etc/letsencrypt/live/watcher.example.com/privkey.pem", pem),
        ("/var/log/nginx/watcher.log", str(folder / "access.log")),
        ("client_body_timeout 10s", "client_body_timeout 1s"),
        ("client_header_timeout 10s", "client_header_timeout 1s"),
    )
    user = "user root;" if os.geteuid() == 0 else ""
    config = folder / "nginx.conf"
    config.write_text(NGINX.format(folder=folder, site=site, user=user))
    return ["nginx", "-e", str(folder / "error.log"), "-c", str(config)]


def caddy(folder: Path, port: int, upstream: int, pem: str) -> list[str]:
    text = replaced(
        (DEPLOY / "Caddyfile.example").read_text(),
        ("\tlog default {", "\tadmin off\n\tauto_https disable_redirects\n\tlog default {"),
        (f"\n{{$PUBLIC_HOST:{HOST}}} {{", f"\n{{$PUBLIC_HOST}} {{\n\ttls {pem} {pem}"),
        ("{$UPSTREAM:127.0.0.1:8080} {", "{$UPSTREAM:127.0.0.1:8080} {"),
        ("read_body 10s", "read_body 1s"),
        ("read_header 10s", "read_header 1s"),
    )
    config = folder / "Caddyfile"
    config.write_text(text)
    return ["caddy", "run", "--adapter", "caddyfile", "--config", str(config)]


@contextmanager
def proxy(kind: str, upstream: int, folder: Path) -> Iterator[Proxy]:
    authority, port = Authority(folder), free_port()
    command = {"nginx": nginx, "caddy": caddy}[kind](folder, port, upstream, authority.issue(HOST))
    said = (folder / "proxy.log").open("wb")
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "PUBLIC_HOST": f"{HOST}:{port}",  # as compose.yaml gives them to Caddy
        "UPSTREAM": f"127.0.0.1:{upstream}",
    }
    command[0] = shutil.which(kind) or kind
    process = start_tied(command, stdout=said, stderr=said, env=environ)
    try:
        found = Proxy(port, authority)
        wait_for(lambda: found.is_up() or process.poll() is not None, what=kind)
        assert process.poll() is None, (folder / "proxy.log").read_text()
        yield found
    finally:
        process.terminate()
        process.wait()
        said.close()


# --- our web server behind it ----------------------------------------------------------------


@PROXIES
def test_what_google_and_people_send_goes_through(
    company: Company, tmp_path: Path, kind: str
) -> None:
    company.connect()
    with company.services.db.session() as session:
        row = channels.live(session, company.calendar().id, company.services.clock())
        assert row is not None
        row.token_hash = digest(TOKEN)
    company.set("public_url", f"https://{HOST}")
    company.start("web", "--port", str(company.port))
    wait_for(company.web_is_up, what="the web server")
    with proxy(kind, company.port, tmp_path) as front:
        before = company.calendar().dirty_seq
        good, path = headers(company), "/webhooks/google"
        assert front.ask("POST", path, good).status == 204
        assert company.calendar().dirty_seq > before, "its headers have come through"
        assert front.ask("POST", path, good | {"X-Goog-Channel-Token": "x"}).status == 404
        assert front.ask("POST", path, {}, b"x" * 100_000).status == 413
        assert front.ask("GET", "/metrics").status == 404
        assert front.ask("GET", "/robots.txt").status == 200
        page = front.ask("GET", "/")
        assert page.status in (200, 401)
        assert page.getheader("Strict-Transport-Security") == "max-age=31536000"
        assert "default-src 'none'" in (page.getheader("Content-Security-Policy") or "")
        with ThreadPoolExecutor(8) as pool:
            codes = set(pool.map(lambda _: front.ask("POST", path, good).status, range(80)))
        assert codes == {204}, "notifications come in bursts, and are not limited"
        if kind == "nginx":  # Caddy limits no rates without a module of others
            with ThreadPoolExecutor(8) as pool:
                codes = set(pool.map(lambda _: front.ask("GET", "/sign").status, range(160)))
            assert codes == {404, 429}, codes
            assert "/connect/-" in log_of(front, tmp_path)
            assert "secret" not in (tmp_path / "access.log").read_text()


def log_of(front: Proxy, folder: Path) -> str:
    """The access log after a connect link was opened."""
    front.ask("GET", "/connect/secret-of-a-link?code=secret-too")
    return (folder / "access.log").read_text()


# --- what it tells Watcher, and whom it lets wait ---------------------------------------------


class Upstream:
    """Takes down the headers of each request."""

    def __init__(self) -> None:
        seen: list[dict[str, str]] = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                seen.append({name.lower(): value for name, value in self.headers.items()})
                self.send_response(204)
                self.end_headers()

            do_POST = do_GET  # noqa: N815

            def log_message(self, *_: Any) -> None:
                """Nobody reads it."""

        self.seen = seen
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", free_port()), Handler)
        self.port = self.server.server_port
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@PROXIES
def test_nobody_forges_an_address_and_who_is_slow_is_let_go(tmp_path: Path, kind: str) -> None:
    upstream = Upstream()
    with proxy(kind, upstream.port, tmp_path) as front:
        forged = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "http"}
        forged["X-Request-ID"] = "forged-request"
        assert front.ask("GET", "/", forged).status == 204
        (seen,) = upstream.seen
        assert seen["x-forwarded-for"] == "127.0.0.1"
        assert seen["x-forwarded-proto"] == "https"
        assert seen["x-request-id"] != "forged-request"
        assert traces.is_well_formed(seen["x-request-id"])
        assert seen["host"].partition(":")[0] == HOST
        began = time.monotonic()
        for half in (b"", b"Content-Length: 10\r\n\r\nabc"):
            with front.connect() as slow:
                slow.sendall(f"POST /webhooks/google HTTP/1.1\r\nHost: {HOST}\r\n".encode() + half)
                while slow.recv(4096):
                    pass  # an answer that says so, or nothing; then the end
        assert time.monotonic() - began < 20
        waited = {name for request in upstream.seen[1:] for name in request}
        assert not waited or kind == "caddy", "nginx passes on what has come in whole"
    upstream.server.shutdown()
    upstream.server.server_close()
