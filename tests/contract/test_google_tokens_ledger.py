"""Access tokens on the real ledger: several processes, one refresh."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from watcher.google.credentials import AccessTokens
from watcher.google.endpoints import GoogleEndpoints
from watcher.google.fetching import TokenSource
from watcher.google.refresh import Fresh
from watcher.ledger import accounts
from watcher.ledger.accounts import Consented, LedgerTokens
from watcher.ledger.db import Database
from watcher.ledger.secrets import Keyring
from watcher.ledger.states import AccountState

KEY = "a-key-of-the-tests-that-is-long-enough-0123456789"

PROCESS = """
import sys
from watcher.google.credentials import AccessTokens
from watcher.google.endpoints import GoogleEndpoints
from watcher.google.fetching import TokenSource
from watcher.ledger.accounts import LedgerTokens
from watcher.ledger.db import Database
from watcher.ledger.secrets import Keyring

ledger, token_url, key, account_id = sys.argv[1:]
db = Database(ledger)
endpoints = GoogleEndpoints(token_url=token_url, client_id="c", client_secret="s")
tokens = AccessTokens(LedgerTokens(db, Keyring([key])), TokenSource(endpoints=endpoints))
print("ready", flush=True)
sys.stdin.readline()
print(tokens.token(int(account_id)), flush=True)
db.dispose()
"""


class TokenEndpoint:
    """Hands out numbered tokens, each only after ``slow`` seconds, and counts."""

    def __init__(self, slow: float) -> None:
        self.count = 0
        endpoint = self
        pause = threading.Event()

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, format: str, *args: object) -> None:
                """Logs nothing."""

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                endpoint.count += 1
                answer = {"access_token": f"ya29.{endpoint.count}", "expires_in": 3599}
                pause.wait(slow)
                body = json.dumps(answer).encode()
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/token"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def endpoint() -> Iterator[TokenEndpoint]:
    running = TokenEndpoint(slow=0.4)
    yield running
    running.close()


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Database]:
    db = Database(f"sqlite:///{tmp_path / 'ledger.sqlite'}")
    db.migrate()
    yield db
    db.dispose()


def connect(db: Database, life: float) -> int:
    now = datetime.now(UTC)
    with db.session() as session:
        account = accounts.add(
            session, email="ann@example.com", source="oauth", state=AccountState.INVITED, now=now
        )
        fresh = Fresh(
            access_token="ya29.first",
            expires_at=now + timedelta(seconds=life),
            refresh_token="1//refresh",
            scopes=frozenset({"openid"}),
        )
        consented = Consented(at=now, sub="1122", fresh=fresh)
        accounts.activate_oauth(session, Keyring([KEY]), account.id, consented)
        return int(account.id)


@pytest.mark.system
def test_processes_share_one_refresh(
    ledger: Database, endpoint: TokenEndpoint, tmp_path: Path
) -> None:
    account_id = connect(ledger, life=60)
    command = [sys.executable, "-c", PROCESS, f"sqlite:///{tmp_path / 'ledger.sqlite'}"]
    running = [
        subprocess.Popen(
            [*command, endpoint.url, KEY, str(account_id)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    try:
        for process in running:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in running:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()
        got = [process.communicate(timeout=30)[0].strip() for process in running]
    finally:
        for process in running:
            process.kill()
            process.wait()
    assert got == ["ya29.1"] * 3
    assert endpoint.count == 1


def test_the_ledger_keeps_the_token_and_its_expiry_in_utc(
    ledger: Database, endpoint: TokenEndpoint
) -> None:
    account_id = connect(ledger, life=3000)
    store = LedgerTokens(ledger, Keyring([KEY]))
    google = GoogleEndpoints(token_url=endpoint.url, client_id="c", client_secret="s")
    tokens = AccessTokens(store, TokenSource(endpoints=google))
    assert tokens.token(account_id) == "ya29.first"
    assert tokens.token(account_id, "ya29.first") == "ya29.1"
    kept = store.grant(account_id)
    assert kept.access_token == "ya29.1"
    assert kept.refresh_token == "1//refresh"
    assert kept.expires_at is not None
    left = (kept.expires_at - datetime.now(UTC)).total_seconds()
    assert 3500 < left <= 3600
    assert store.claim_refresh(account_id, 1.0), "the claim was given back"
