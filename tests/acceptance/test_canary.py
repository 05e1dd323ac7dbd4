"""Known secrets everywhere, a day's work with every kind of trouble, and then a search for them:
in logs, the queue, the ledger's bytes, pages and everything that commands print."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from urllib.parse import quote

import redis
import requests

from tests.company import ADMIN, ANN, BOB, CLIENT_SECRET, Company
from tests.consenting import allow
from tests.postbox import HOOK_SECRET, PASSWORD, Postbox
from tests.waiting import wait_for

PRIVATE = "CANARY appointment at the clinic"


def secrets_of(company: Company) -> dict[str, str]:
    """Everything that must not be found anywhere, by what it is."""
    oauth = company.google.oauth
    key = json.loads((company.folder / "service-account.json").read_text())["private_key"]
    found = {
        "client secret": CLIENT_SECRET,
        "API secret": company.site.api_secret,
        "encryption key": company.key,
        "private event": PRIVATE,
        "private key": key.split("\n")[3],
        "mail password": PASSWORD,
        "webhook": HOOK_SECRET,
    }
    found |= {f"refresh token {n}": t for n, t in enumerate(oauth.refresh_tokens)}
    found |= {f"access token {n}": t for n, t in enumerate(oauth.access_tokens)}
    found |= {f"code {n}": t for n, t in enumerate(oauth.codes)}
    channels = company.google.channels.all.values()
    found |= {f"channel token {c.id}": c.token for c in channels if c.token}
    return found


def forms(secret: str) -> Iterator[bytes]:
    """The forms in which a secret could be found: as it is, as in a URL, in base64 at each of the
    three offsets, as in JSON."""
    raw = secret.encode()
    yield raw
    yield quote(secret, safe="").encode()
    yield json.dumps(secret)[1:-1].encode()
    for offset in range(3):
        encoded = base64.b64encode(b"x" * offset + raw)
        yield encoded[4 if offset else 0 : len(encoded) - 4]


def consent(company: Company, email: str, link: str) -> requests.Session:
    browser = requests.Session()
    page = browser.post(link, timeout=10) if "/connect/" in link else browser.get(link, timeout=10)
    done = browser.post(page.url, data=allow(page.text, email), timeout=20)
    assert done.status_code == 200, done.text
    return browser


def a_day(company: Company, box: Postbox) -> list[bytes]:
    """Onboarding, edits, every kind of trouble; returns all that was printed or served."""
    company.start("web", "--port", str(company.port))
    company.start("worker", "--queue", "live")
    company.start("worker", "--queue", "backfill")
    company.start("cron")
    wait_for(company.web_is_up, what="the web server")
    company.setup_erpnext()
    said = []

    def run(*words: str) -> str:
        done = company.watcher("-v", *words)
        said.extend([done.stdout.encode(), done.stderr.encode()])
        return done.stdout

    link = run("accounts", "invite", ANN).strip()
    said.remove(f"{link}\n".encode())  # the one place where it belongs
    consent(company, ANN, link)
    run("accounts", "add", BOB, "--via", "service-account")
    company.google.insert_event(
        ANN, company.timed(summary=PRIVATE, description=PRIVATE, visibility="private")
    )
    company.google.insert_event(BOB, company.timed(summary="Tasting"))
    wait_for(lambda: company.subjects(ANN) == ["Busy"], what="Ann's mirror")
    wait_for(lambda: company.subjects(BOB) == ["Tasting"], what="Bob's mirror")
    google, site = company.google, company.site
    google.add_fault(match="/events", status=403, reason="forbidden", count=2)
    google.add_fault(match="POST /token", status=400, body={"error": "invalid_grant"}, count=1)
    site.add_fault(match="insert|bulk", status=500, html=True, count=2)
    site.add_fault(match="insert", status=417, exc_type="ValidationError", message="no", count=2)
    google.expire_access_tokens(BOB)
    for number in range(4):
        google.insert_event(ANN, company.timed(hours=number + 2, summary=f"Shift {number}"))
        google.insert_event(BOB, company.timed(hours=number + 2, summary=f"Shift {number}"))
    run("tokens", "renew", "--all")
    google.revoke_user(ANN)
    google.expire_access_tokens(ANN)
    run("tokens", "renew", "--all")
    live = next(iter(google.channels.all.values()))
    forged = {
        "X-Goog-Channel-ID": live.id,
        "X-Goog-Channel-Token": "guess",
        "X-Goog-Resource-State": "exists",
    }
    requests.post(f"{company.public_url}/webhooks/google", headers=forged, timeout=10)
    for words in (
        ("status",),
        ("status", "--json"),
        ("accounts", "list", "--json"),
        ("config", "show"),
        ("accounts", "show", ANN, "--json"),
        ("channels", "list", "--json"),
        ("tokens", "list"),
        ("queue", "show", "--json"),
        ("verify", "--all", "--json"),
        ("keys", "list", "--json"),
        ("config", "validate"),
        ("resync", "--all", "--dry-run"),
        ("notify", "test"),
        ("notify", "list", "--json"),
    ):
        run(*words)
    box.refuse = True
    run("notify", "test")
    said.extend(str(mail).encode() for mail in box.mails)
    said.extend(post.encode() for post in box.posts)
    admin = consent(company, ADMIN, f"{company.public_url}/sign-in")
    for path in ("/", "/employees", "/metrics", "/healthz", "/readyz", "/nothing", "/connect/x"):
        said.append(admin.get(company.public_url + path, timeout=10).content)
    return said


def everything_kept(company: Company) -> Iterator[tuple[str, bytes]]:
    yield "the log", (company.folder / "watcher.log").read_bytes()
    with redis.Redis.from_url(company.environ["WATCHER_REDIS_URL"]) as client:
        for key in client.scan_iter():
            yield f"Redis {key!r}", bytes(key) + (client.dump(key) or b"")
    if company.services.db.is_sqlite:
        for file in company.folder.glob("ledger.sqlite3*"):
            yield file.name, file.read_bytes()
    else:
        with company.services.db.engine.connect() as connection:
            tables = connection.exec_driver_sql(
                "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
            ).scalars()
            for table in list(tables):
                rows = connection.exec_driver_sql(f'SELECT t::text FROM "{table}" t').scalars()
                yield f"table {table}", "\n".join(rows).encode()


def test_no_secret_is_found_anywhere(company: Company) -> None:
    box = Postbox()
    company.set("smtp_url", box.smtp_url)
    company.set("notify_webhook_url", box.webhook_url)
    company.set("sweep_seconds", "1")
    said = a_day(company, box)
    box.close()
    assert box.mails
    found = []
    places = [*everything_kept(company), *(("printed or served", text) for text in said)]
    for doctype in ("Event", "ToDo"):
        places.append((doctype, repr(company.site.rows(doctype)).encode()))
    for what, secret in secrets_of(company).items():
        for form in forms(secret):
            found += [f"{what} in {where}" for where, content in places if form in content]
    assert found == []
    assert len(places) > 20
    assert b"Traceback" not in b"".join(said)


def test_the_search_finds_what_is_there() -> None:
    secret = "a secret with spaces/and+signs"
    for hidden in (
        secret,
        quote(secret, safe=""),
        json.dumps({"x": secret}),
        base64.b64encode(f"ab{secret}cd".encode()).decode(),
        base64.b64encode(f"abc{secret}".encode()).decode(),
    ):
        assert any(form in hidden.encode() for form in forms(secret)), hidden
