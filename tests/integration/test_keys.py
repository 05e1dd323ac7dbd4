"""Keys: a new one taken up while everything runs, rotation, and a key that is lost."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.company import ADMIN, ANN, BOB, CLIENT_ID, Company
from tests.forked import forked
from watcher.errors import UserError
from watcher.google.refresh import Fresh
from watcher.ledger import accounts, connect, keys
from watcher.ledger.accounts import Consented, LedgerTokens
from watcher.ledger.secrets import Keyring, SecretUnreadable
from watcher.ledger.states import AccountState
from watcher.services import build

pytestmark = pytest.mark.one_shape("sqlite")

SCOPES = ("openid", "email", "https://www.googleapis.com/auth/calendar.events.readonly")


@pytest.fixture
def shop(company: Company, monkeypatch: pytest.MonkeyPatch) -> Company:
    """Three accounts by consent; the key is in a file, as `watcher init` makes it."""
    file = company.folder / "secret.key"
    file.write_text(company.key + "\n")
    file.chmod(0o600)
    del company.environ["WATCHER_SECRET_KEYS"]
    company.environ["WATCHER_SECRET_KEYS_FILE"] = str(file)
    for name, value in company.environ.items():
        monkeypatch.setenv(name, value)
    services = company.services
    now = services.clock()
    for email in (ANN, BOB, ADMIN):
        with services.db.session() as session:
            account = accounts.add(
                session, email=email, source="oauth", state=AccountState.INVITED, now=now
            )
            fresh = Fresh(
                access_token=f"ya29.{email}",
                expires_at=now,
                refresh_token=company.google.oauth.mint_refresh(CLIENT_ID, email, SCOPES),
                scopes=frozenset(SCOPES),
            )
            consented = Consented(at=now, sub=email, fresh=fresh)
            accounts.activate_oauth(session, services.keyring, account.id, consented)
    return company


def key_file(company: Company) -> Path:
    return Path(company.environ["WATCHER_SECRET_KEYS_FILE"])


def token_of(company: Company, email: str) -> str | None:
    services = company.services
    with services.db.session() as session:
        number = accounts.get(session, email).id
    return LedgerTokens(services.db, services.keyring).grant(number).refresh_token


def test_a_new_key_is_taken_up_and_rotated_in_while_running(shop: Company) -> None:
    before = token_of(shop, ANN)
    old = shop.services.keyring.first
    added = shop.watcher("keys", "add", "--json")
    assert set(json.loads(added.stdout)) == {"code", "key", "file"}
    assert added.returncode == 0, added.stderr
    assert key_file(shop).stat().st_mode & 0o777 == 0o600
    for key in key_file(shop).read_text().strip().split(","):
        assert key not in added.stdout + added.stderr
    moved = json.loads(shop.watcher("keys", "rotate", "--json").stdout)
    assert moved["moved"] == 6
    assert moved["key"] != old
    # This process was started before: it takes the key up when it meets it.
    assert shop.services.keyring.first == old
    assert token_of(shop, ANN) == before
    assert shop.services.keyring.first == moved["key"]
    assert json.loads(shop.watcher("keys", "rotate", "--json").stdout)["moved"] == 0
    listed = json.loads(shop.watcher("keys", "list", "--json").stdout)
    assert [(k["key"], k["secrets"]) for k in listed] == [(moved["key"], 6), (old, 0)]


def test_a_rotation_that_broke_off_is_finished_by_the_next(shop: Company) -> None:
    fresh = Keyring([("n" * 40), key_file(shop).read_text().strip()])

    def die_after_one(done: int, _total: int) -> None:
        if done == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        keys.rotate(shop.services.db, fresh, die_after_one)
    with shop.services.db.session() as session:
        assert sorted(keys.used(session).values()) == [2, 4]
    assert keys.rotate(shop.services.db, fresh) == 4


def test_a_new_key_is_followed_before_something_is_written_but_not_a_mistake(shop: Company) -> None:
    """A process that never met a secret under the new key would go on writing under the old."""
    ring, old = shop.services.keyring, shop.services.keyring.first
    text = key_file(shop).read_text().strip()
    key_file(shop).write_text("w" * 40)
    ring.follow()
    assert ring.first == old, "not one key that is known: a mistake"
    key_file(shop).write_text("n" * 40 + "," + text)
    with shop.services.db.session() as session:
        number = accounts.get(session, ANN).id
    store = LedgerTokens(shop.services.db, ring)
    fresh = Fresh(access_token="fresh", expires_at=shop.services.clock())
    assert store.keep(number, store.grant(number), fresh)
    assert ring.first != old
    with shop.services.db.session() as session:
        assert ring.first in keys.used(session)


def run(words: list[str], environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return forked(words, os.environ | environ, Path.cwd())


def test_a_wrong_key_refuses_to_start_and_says_which_is_missing(shop: Company) -> None:
    old = shop.services.keyring.first
    key_file(shop).write_text("w" * 40)
    port = str(shop.port)
    for words in (
        ["up", "--port", port],
        ["web", "--port", port],
        ["status"],
        ["cron"],
        ["worker"],
    ):
        done = run(words, {})
        assert done.returncode == 2, words
        text = " ".join(done.stderr.split())
        assert f"6 under key {old}" in text
        assert "put the old key back" in text
        assert "Traceback" not in text
    with pytest.raises(UserError):
        build(shop.settings)


def test_a_key_that_is_lost_for_good(shop: Company) -> None:
    old = shop.services.keyring.first
    key_file(shop).write_text("w" * 40)
    assert run(["--no-input", "keys", "forget", old], {}).returncode == 2
    done = run(["keys", "forget", old, "--yes"], {})
    assert done.returncode == 0, done.stderr
    assert f"watcher accounts invite {ANN}" in done.stderr
    status = run(["status", "--json"], {})
    assert status.returncode == 7
    assert json.loads(status.stdout)["accounts"]["needs_reconnect"] == 3
    assert run(["keys", "forget", old, "--yes"], {}).returncode == 5


def test_a_link_signed_with_the_new_key_works_in_a_process_with_the_old(shop: Company) -> None:
    web = shop.services.keyring
    assert shop.watcher("keys", "add").returncode == 0
    link = shop.watcher("accounts", "invite", ANN).stdout.strip()
    assert connect.read_link(web, link.rpartition("/")[2]) is not None


def test_a_part_that_comes_back_with_older_settings_opens_what_was_rotated(shop: Company) -> None:
    """``watcher up`` starts its parts again with the settings that it was itself started with."""
    settings, old = shop.settings, shop.services.keyring.first
    assert shop.watcher("keys", "add").returncode == 0
    assert shop.watcher("keys", "rotate").returncode == 0
    again = build(settings)
    again.db.dispose()
    assert again.keyring.first != old


def test_a_ciphertext_is_bound_to_its_row(shop: Company) -> None:
    services = shop.services
    with services.db.session() as session:
        ann, bob = accounts.get(session, ANN), accounts.get(session, BOB)
        ann.refresh_token, number = bob.refresh_token, ann.id
    with pytest.raises(SecretUnreadable):
        LedgerTokens(services.db, services.keyring).grant(number)


def test_keys_in_the_environment_are_the_admins_to_change(company: Company) -> None:
    done = company.watcher("keys", "add")
    assert done.returncode == 2
    assert "WATCHER_SECRET_KEYS_FILE" in done.stderr
