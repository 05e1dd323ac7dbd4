"""The web process as it runs in production: its server, a real ledger, real HTTP."""

from __future__ import annotations

import html
import re
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import requests
from sqlalchemy import text

from tests.company import ADMIN, ANN, BOB, CLIENT_SECRET, Company
from tests.consenting import allow
from tests.waiting import wait_for
from watcher.ledger import accounts, calendars, channels
from watcher.ledger.models import Channel, Counter, Fact, Invitation, OAuthFlow, Tick
from watcher.ledger.secrets import digest
from watcher.ledger.states import AccountState, ChannelState

pytestmark = pytest.mark.one_shape("sqlite")

URL = "/webhooks/google"
TOKEN = "token-of-a-channel"


@pytest.fixture
def web(company: Company) -> Company:
    company.start("web", "--port", str(company.port))
    wait_for(company.web_is_up, what="the web server")
    return company


@pytest.fixture
def watched(web: Company) -> Company:
    """Ann's calendar with a channel whose token we know."""
    web.connect()
    web.services.doorbell.client.flushall()
    with web.services.db.session() as session:
        row = channels.live(session, web.calendar().id, web.services.clock())
        assert row is not None
        row.token_hash = digest(TOKEN)
    return web


def channel(company: Company) -> Channel:
    with company.services.db.session() as session:
        found = channels.live(session, company.calendar().id, company.services.clock())
        assert found is not None
        return found


def headers(company: Company, **changes: str) -> dict[str, str]:
    live = channel(company)
    made = {
        "X-Goog-Channel-ID": live.id,
        "X-Goog-Channel-Token": TOKEN,
        "X-Goog-Resource-ID": live.resource_id or "",
        "X-Goog-Resource-State": "exists",
        "X-Goog-Message-Number": "7",
    }
    return made | {f"X-Goog-{name.replace('_', '-')}": value for name, value in changes.items()}


def post(company: Company, sent: dict[str, str], body: bytes = b"") -> requests.Response:
    return requests.post(company.public_url + URL, headers=sent, data=body, timeout=10)


def waiting(company: Company) -> int:
    return sum(len(jobs) for jobs in company.services.doorbell.waiting().values())


# --- notifications ------------------------------------------------------------------------


@pytest.mark.both_shapes
def test_a_burst_is_recorded_and_rings_once(watched: Company) -> None:
    sent, before = headers(watched), watched.calendar().dirty_seq
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: post(watched, sent).status_code, range(100)))
    assert set(answers) == {204}
    assert watched.calendar().dirty_seq > before
    # On a busy machine Redis may not answer within the half second that a notification has for it:
    # that ring counts as failed, and the next notification rings again.
    failed = not_rung(watched)
    assert waiting(watched) == 1 or 0 < failed >= waiting(watched) - 1


def not_rung(company: Company) -> int:
    """How many rings Redis did not take in time, as the web server counts them."""
    text = requests.get(f"{company.public_url}/metrics", timeout=30).text
    counted = re.search(r'watcher_notifications_total\{outcome="not_rung"\} (\d+)', text)
    return int(counted[1]) if counted else 0


def test_whatever_is_not_ours_gets_one_and_the_same_answer(watched: Company) -> None:
    before = watched.calendar().dirty_seq
    forged = [
        headers(watched, Channel_Token="wrong"),
        headers(watched, Channel_ID="00000000-0000-0000-0000-000000000000"),
        headers(watched, Resource_ID="another"),
        headers(watched, Channel_Token=""),
    ]
    answers = {(a.status_code, a.text) for a in (post(watched, sent) for sent in forged)}
    assert answers == {(404, "unknown channel\n")}
    assert watched.calendar().dirty_seq == before
    requests.get(f"{watched.public_url}/metrics", timeout=10)
    with watched.services.db.session() as session:
        assert session.get_one(Counter, "notifications_unknown").value == 4


@pytest.mark.parametrize(
    ("state", "status"), [("retiring", 204), ("stopped", 204), ("expired", 204)]
)
def test_channels_of_ours_that_are_over(watched: Company, state: str, status: int) -> None:
    sent, before = headers(watched), watched.calendar().dirty_seq
    with watched.services.db.session() as session:
        session.get_one(Channel, sent["X-Goog-Channel-ID"]).state = ChannelState(state)
    assert post(watched, sent).status_code == status
    assert (watched.calendar().dirty_seq > before) == (state == "retiring")


def test_shapes(watched: Company) -> None:
    good = headers(watched)
    assert post(watched, {}).status_code == 400
    assert post(watched, good | {"X-Goog-Channel-Token": "x" * 3000}).status_code == 431
    assert post(watched, good, b"x" * 70_000).status_code == 413
    assert requests.get(watched.public_url + URL, timeout=10).status_code == 405
    assert post(watched, good | {"X-Goog-Message-Number": "NaN"}).status_code == 204
    chunked = requests.post(watched.public_url + URL, headers=good, data=iter([b""]), timeout=10)
    assert chunked.status_code == 204


def test_a_paused_account_is_recorded_and_wakes_nobody(watched: Company) -> None:
    with watched.services.db.session() as session:
        account = accounts.get(session, ANN)
        accounts.set_state(account, AccountState.PAUSED, "by_admin", watched.services.clock())
    before = watched.calendar().dirty_seq
    assert post(watched, headers(watched)).status_code == 204
    assert watched.calendar().dirty_seq == before + 1
    assert waiting(watched) == 0


def test_without_a_queue_it_is_recorded_all_the_same(company: Company) -> None:
    company.connect()
    company.set("redis_url", "unix:///nowhere/valkey.sock")
    with company.services.db.session() as session:
        row = channels.live(session, company.calendar().id, company.services.clock())
        assert row is not None
        row.token_hash = digest(TOKEN)
    company.start("web", "--port", str(company.port))
    wait_for(company.web_is_up, what="the web server")
    before = company.calendar().dirty_seq
    assert post(company, headers(company)).status_code == 204
    calendar = company.calendar()
    assert (calendar.dirty_seq, calendar.rung_at) == (before + 1, None)
    ready = requests.get(f"{company.public_url}/readyz", timeout=10)
    assert ready.status_code == 200


def test_without_a_ledger_google_is_asked_to_repeat(watched: Company) -> None:
    if not watched.services.db.is_sqlite:
        sent = headers(watched)
        with watched.services.db.engine.connect() as connection:
            connection.exec_driver_sql("ALTER TABLE channels RENAME TO gone")
            connection.commit()
        assert post(watched, sent).status_code in (500, 503)
        return
    sent = headers(watched)
    holder = sqlite3.connect(watched.folder / "ledger.sqlite3", isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    try:
        answer = requests.post(watched.public_url + URL, headers=sent, timeout=40)
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0
        ready = requests.get(f"{watched.public_url}/readyz", timeout=40)
        assert ready.status_code == 503
        assert ready.headers["Content-Type"].startswith("application/json")
    finally:
        holder.close()
    assert post(watched, sent).status_code == 204


def test_google_really_reaches_us(watched: Company) -> None:
    with watched.services.db.session() as session:
        watched.google.kill_channels()
        channels.stopped(session, channel(watched).id, watched.services.clock())
    assert watched.watcher("channels", "renew", "--all").returncode == 0
    before = watched.calendar().dirty_seq
    watched.google.insert_event(ANN, watched.timed())
    wait_for(lambda: watched.calendar().dirty_seq > before, what="Google's notification")


def test_notices_as_calendar_sends_them(watched: Company) -> None:
    """Without a body, of an odd type, and the state only ever says to look; the states of Drive
    (`add`, `update`, ...) never come."""
    for state in ("sync", "exists", "not_exists", "of-tomorrow"):
        before = watched.calendar()
        with watched.services.db.session() as session:
            calendars.get(session, before.id).rung_at = None
        odd = {"Content-Type": "application/json; utf-8", "Content-Length": "0"}
        assert post(watched, headers(watched, Resource_State=state) | odd).status_code == 204
        assert watched.calendar().dirty_seq == before.dirty_seq + 1, state


# --- health and headers ---------------------------------------------------------------------


def test_health_and_headers(web: Company) -> None:
    for path in ("/healthz", "/readyz", "/metrics", "/", "/nothing", "/static/watcher.css"):
        answer = requests.get(web.public_url + path, timeout=10)
        assert answer.status_code == (404 if path == "/nothing" else 200), path
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert "form-action 'self';" in answer.headers["Content-Security-Policy"], path
        assert CLIENT_SECRET not in answer.text
        assert web.key not in answer.text
    assert "Disallow" not in requests.get(f"{web.public_url}/robots.txt", timeout=10).text


def test_strangers_write_nothing(web: Company) -> None:
    """Each request to /readyz once wrote to the ledger, and each visit of /sign-in made a row."""
    web.environ["WATCHER_ADMIN_EMAILS"] = ADMIN
    link = invite(web)

    def writes() -> object:
        with web.services.db.session() as session:
            changes = "PRAGMA data_version" if web.services.db.is_sqlite else "SELECT 0"
            return (
                session.execute(text(changes)).scalar_one(),
                session.query(OAuthFlow).count(),
                session.get(Tick, "ready"),
            )

    before = writes()
    for _ in range(20):
        for path in ("/readyz", "/sign-in", "/oauth/google/callback?state=x&code=y"):
            requests.get(web.public_url + path, timeout=10, allow_redirects=False)
        requests.post(link, timeout=10, allow_redirects=False)
    assert writes() == before


def test_readiness_is_looked_at_again_after_a_few_seconds(web: Company) -> None:
    """A change of the ledger into one that takes no writes is told soon."""
    assert requests.get(f"{web.public_url}/readyz", timeout=10).json()["ledger"] == "ok"
    with web.services.db.session() as session:
        session.execute(text("ALTER TABLE ticks RENAME TO gone"))
    wait_for(
        lambda: requests.get(f"{web.public_url}/readyz", timeout=10).status_code != 200,
        what="readyz",
        seconds=20,
    )


# --- the employee's consent -----------------------------------------------------------------


def invite(company: Company, email: str = ANN) -> str:
    done = company.watcher("accounts", "invite", email)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def at_google(browser: requests.Session, link: str) -> tuple[str, dict[str, object]]:
    """From the connect link to Google's page: its address and its form, filled in to allow."""
    assert browser.get(link, timeout=10).status_code == 200
    page = browser.post(link, timeout=10)
    assert "sandbox Google" in page.text
    return page.url, allow(page.text, "")


def consent(company: Company, link: str, account: str, **changes: object) -> requests.Response:
    with requests.Session() as browser:
        url, form = at_google(browser, link)
        return browser.post(url, data=form | {"account": account} | changes, timeout=20)


def test_the_page_with_the_button_lets_its_form_go_to_google_and_nowhere_else(
    web: Company,
) -> None:
    """Chromium looks at the redirect that answers the form too."""
    origin = web.environ["WATCHER_GOOGLE_AUTH_URL"].removesuffix("/o/oauth2/v2/auth")
    policy = requests.get(invite(web), timeout=10).headers["Content-Security-Policy"]
    assert f"form-action 'self' {origin};" in policy


def state(company: Company, email: str = ANN) -> str:
    with company.services.db.session() as session:
        return accounts.get(session, email).state


def test_consent_connects_and_the_first_sync_is_rung(web: Company) -> None:
    web.setup_erpnext()
    web.google.insert_event(ANN, web.timed(summary="Tasting"))
    page = consent(web, invite(web), ANN)
    assert page.status_code == 200, page.text
    assert "You are connected" in page.text
    assert state(web) == "active"
    assert waiting(web) == 1
    assert web.sync() == "done"
    assert web.subjects() == ["Tasting"]
    assert len(web.google.live_channels(ANN)) == 1
    with web.services.db.session() as session:
        account = accounts.get(session, ANN)
        assert account.refresh_token is not None
        assert b"1//" not in account.refresh_token
    log = (web.folder / "watcher.log").read_text()
    for secret in (CLIENT_SECRET, web.key, "1//", "ya29."):
        assert secret not in log


def test_why_a_consent_failed_is_in_the_log(web: Company) -> None:
    """The admin does not see the employee's page: the cause has to be in the log."""
    web.google.add_fault(
        match="POST /token",
        status=400,
        body='{"error": "redirect_uri_mismatch"}',
        content_type="application/json",
    )
    assert consent(web, invite(web), ANN).status_code == 400
    web.google.clear_faults()
    assert consent(web, invite(web), ANN, decision="deny").status_code == 200
    log = (web.folder / "watcher.log").read_text()
    assert "consent refused: redirect_uri_mismatch: " in log
    assert "consent refused: access_denied: " in log


@pytest.mark.parametrize(
    ("account", "changes", "status", "says"),
    [
        (BOB, {}, 403, f"You signed in as {BOB}"),
        (ANN, {"decision": "deny"}, 200, "Nothing was connected"),
        (ANN, {"grant": []}, 400, "permission is missing"),
    ],
)
def test_consents_that_connect_nobody(
    web: Company, account: str, changes: dict[str, object], status: int, says: str
) -> None:
    page = consent(web, invite(web), account, **changes)
    assert page.status_code == status
    assert says in html.unescape(page.text)
    assert ("Use another account" if account == BOB else "Try again") in page.text
    assert state(web) == "invited"
    with web.services.db.session() as session:
        assert accounts.get(session, ANN).refresh_token is None


def test_a_state_works_once_and_in_its_browser_alone(web: Company) -> None:
    link = invite(web)
    with requests.Session() as browser, requests.Session() as thief:
        url, form = at_google(browser, link)
        back = browser.post(
            url, data=form | {"account": ANN}, allow_redirects=False, timeout=10
        ).headers["Location"]
        stolen = thief.get(back, timeout=10)
        assert stolen.status_code == 400
        assert "no longer valid" in stolen.text
        assert 'href="/me"' in stolen.text
        for _ in range(2):
            page = browser.get(back, timeout=10)
            assert page.status_code == 200
            assert page.url == f"{web.public_url}/connected", "also when the answer is loaded again"


def test_who_consents_in_two_tabs_is_connected_and_told_so(web: Company) -> None:
    link = invite(web)
    with requests.Session() as browser:
        tabs = [at_google(browser, link) for _ in range(2)]
        for url, form in tabs:
            page = browser.post(url, data=form | {"account": ANN}, timeout=10)
            assert page.status_code == 200
            assert page.url == f"{web.public_url}/connected"
    assert state(web) == "active"


def test_links_that_are_used_replaced_expired_or_forged(web: Company) -> None:
    old, link = invite(web), invite(web)
    assert requests.get(old, timeout=10).status_code == 410
    assert consent(web, link, ANN).status_code == 200
    assert requests.get(link, timeout=10).status_code == 410
    fresh = invite(web)
    with web.services.db.session() as session:
        for row in session.query(Invitation).all():
            row.expires_at = web.services.clock() - timedelta(seconds=1)
    assert requests.get(fresh, timeout=10).status_code == 410
    assert requests.get(fresh[:-3] + "abc", timeout=10).status_code == 404
    assert requests.get(f"{web.public_url}/connect/x", timeout=10).status_code == 404


def test_an_unexpected_failure_leaves_no_connect_link_in_the_log(web: Company) -> None:
    """Flask names the address of a request that failed."""
    link = invite(web)
    with web.services.db.session() as session:
        session.execute(text("ALTER TABLE invitations RENAME COLUMN used_at TO gone"))
    assert requests.get(link, timeout=10).status_code in (500, 503)
    log = (web.folder / "watcher.log").read_text()
    assert link.rpartition("/")[2] not in log


def test_reconnecting_keeps_the_mirror(web: Company) -> None:
    web.setup_erpnext()
    web.google.insert_event(ANN, web.timed())
    assert consent(web, invite(web), ANN).status_code == 200
    assert web.sync() == "done"
    (name,) = (row["name"] for row in web.rows())
    web.google.revoke_user(ANN)
    web.google.expire_access_tokens()
    assert web.watcher("tokens", "renew", ANN).returncode in (3, 4)
    assert state(web) == "needs_reconnect"
    assert consent(web, invite(web), ANN).status_code == 200
    writes = web.services.erpnext.calls
    assert web.sync() == "done"
    assert [row["name"] for row in web.rows()] == [name]
    assert web.services.erpnext.calls - writes <= 3, "a full rewrite"


def test_a_consent_outlives_a_restart_between_its_two_halves(web: Company) -> None:
    """State, verifier and nonce are in the cookie; Google gives no token without the verifier."""
    with requests.Session() as browser:
        url, form = at_google(browser, invite(web))
        web.processes[0].terminate()
        assert web.processes[0].wait(20) == 0
        web.start("web", "--port", str(web.port))
        wait_for(web.web_is_up, what="the web server")
        page = browser.post(url, data=form | {"account": ANN}, timeout=20)
    assert "You are connected" in page.text
    (request,) = [e for e in web.google.log.entries() if e.route == "token"]
    assert request.status == 200
    assert state(web) == "active"


def test_who_gets_the_address_of_somebody_who_left_starts_afresh(web: Company) -> None:
    """Nothing of the old grant is left to be inherited, and nothing keeps the new one out."""
    web.setup_erpnext()
    web.google.insert_event(ANN, web.timed(summary="The old Ann's"))
    assert consent(web, invite(web), ANN).status_code == 200
    assert web.sync() == "done"
    done = web.watcher("accounts", "disconnect", ANN, "--events", "delete", "--yes")
    assert done.returncode == 0, done.stderr
    web.google.remove_user(ANN)
    web.google.add_user(ANN, sub="1" * 21)
    web.google.insert_event(ANN, web.timed(summary="The new Ann's"))
    link, calls = invite(web), web.google.log.counts()
    account = web.account()
    assert (account.state, account.refresh_token, account.access_token) == ("invited", None, None)
    assert web.watcher("tokens", "renew", "--all").returncode in (0, 5)
    assert web.google.log.counts() == calls
    page = consent(web, link, ANN)
    assert page.status_code == 200, page.text
    assert web.sync() == "done"
    assert web.subjects() == ["The new Ann's"]


def test_a_link_that_was_sent_before_a_disconnection_leads_nowhere(web: Company) -> None:
    web.setup_erpnext()
    assert consent(web, invite(web), ANN).status_code == 200
    again = invite(web)
    done = web.watcher("accounts", "disconnect", ANN, "--yes")
    assert done.returncode == 0, done.stderr
    assert requests.get(again, timeout=10).status_code == 410
    assert web.account().state == "disconnected"
    assert consent(web, invite(web), ANN).status_code == 200


def test_google_in_trouble_during_consent(web: Company) -> None:
    link = invite(web)
    web.google.add_fault(match="POST /token", status=502, body="<html>", content_type="text/html")
    page = consent(web, link, ANN)
    assert page.status_code == 503
    assert "Try again" in page.text
    web.google.clear_faults()
    assert consent(web, link, ANN).status_code == 200


# --- the dashboard --------------------------------------------------------------------------


def sign_in(company: Company, email: str) -> tuple[requests.Session, requests.Response]:
    browser = requests.Session()
    page = browser.get(f"{company.public_url}/sign-in", timeout=10)
    # Of the hundred refresh tokens of an account none is spent on this.
    assert "access_type=online" in page.url
    return browser, browser.post(page.url, data=allow(page.text, email), timeout=10)


def test_the_dashboard_is_for_admins(watched: Company) -> None:
    assert ANN not in requests.get(f"{watched.public_url}/", timeout=10).text
    _, refused = sign_in(watched, BOB)
    assert refused.status_code == 403
    assert BOB in refused.text
    assert f"ask {ADMIN}" in refused.text, "whom a colleague can ask, and no setting's name"
    assert "WATCHER_" not in refused.text
    browser, page = sign_in(watched, ADMIN)
    assert page.status_code == 200
    assert ANN in page.text
    assert "All is well" in page.text or "Needs attention" in page.text
    cookie = next(c for c in browser.cookies if c.name == "watcher")
    assert cookie.has_nonstandard_attr("HttpOnly")
    assert cookie.get_nonstandard_attr("SameSite") == "Lax"
    out = browser.post(f"{watched.public_url}/sign-out", timeout=10)
    assert ANN not in out.text


def test_a_cookie_copied_before_the_sign_out_is_void(watched: Company) -> None:
    home, out = f"{watched.public_url}/", f"{watched.public_url}/sign-out"
    browser, page = sign_in(watched, ADMIN)
    assert ANN in page.text
    copied = {c.name: c.value or "" for c in browser.cookies}
    assert ANN in requests.get(home, cookies=copied, timeout=10).text
    browser.post(out, timeout=10)
    assert ANN not in requests.get(home, cookies=copied, timeout=10).text

    written = facts(watched)
    for cookies in (copied, {}):  # neither the void cookie nor a stranger writes anything
        requests.post(out, cookies=cookies, timeout=10)
    assert facts(watched) == written
    _, page = sign_in(watched, ADMIN)
    assert ANN in page.text


def facts(company: Company) -> dict[str, str]:
    with company.services.db.session() as session:
        return {fact.name: fact.value for fact in session.query(Fact)}


def test_what_met_a_closed_port_is_fetched_after_the_start(company: Company) -> None:
    company.connect()
    company.google.insert_event(ANN, company.timed(summary="While we were down"))
    assert company.google.wait_pushes()
    company.start("web", "--port", str(company.port))
    wait_for(lambda: company.calendar().dirty_seq > company.calendar().synced_seq, what="the debt")
    assert company.sync() == "done"
    assert company.subjects() == ["While we were down"]
