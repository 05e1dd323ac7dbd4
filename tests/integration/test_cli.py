"""The command line: exit codes, JSON on stdout alone, errors that say what to do."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.company import ADMIN, ANN, BOB, CLIENT_SECRET, Company
from watcher_sandbox.erpnext.doctypes import ROLES

pytestmark = pytest.mark.one_shape("sqlite")


@pytest.fixture
def shop(company: Company) -> Company:
    company.connect()
    return company


def failed(done: subprocess.CompletedProcess[str], code: int, *says: str) -> None:
    assert done.returncode == code, done.stdout + done.stderr
    text = " ".join((done.stderr + done.stdout).split())
    assert "Traceback" not in text
    for what in says:
        assert what in text


def data(done: subprocess.CompletedProcess[str]) -> object:
    assert "Traceback" not in done.stderr
    return json.loads(done.stdout)


def test_every_wrong_setting_is_named_at_once(company: Company) -> None:
    company.environ |= {
        "WATCHER_PUBLIC_URL": "http://watcher.example.com",
        "WATCHER_SECRET_KEYS": "short",
        "WATCHER_WINDOW_PAST_DAYS": "many",
        "WATCHER_PRIVATE_EVENTS": "hide",
        "WATCHER_ERPNEXT_API_KEY": "",
        "WATCHER_ERPNEXT_URL": "ftp://erp",
    }
    for words in (("config", "validate"), ("up",), ("web",), ("worker",), ("cron",)):
        done = company.watcher(*words)
        failed(
            done,
            2,
            "WATCHER_PUBLIC_URL: must be https",
            "WATCHER_SECRET_KEYS: each key needs",
            "WATCHER_WINDOW_PAST_DAYS",
            "WATCHER_PRIVATE_EVENTS",
            "WATCHER_ERPNEXT_API_KEY is not",
            "WATCHER_ERPNEXT_URL: must be an http",
        )


def test_the_delegation_is_checked_at_the_start(company: Company) -> None:
    done = company.watcher("config", "validate")
    assert done.returncode == 0, done.stderr
    assert "https://www.googleapis.com/auth/calendar.events.readonly\n" in done.stderr
    assert "client ID" in done.stderr
    key = company.folder / "service-account.json"
    key.write_text(key.read_text().replace("BEGIN PRIVATE", "BEGIN BROKEN"))
    for words in (("config", "validate"), ("up",), ("worker",)):
        failed(company.watcher(*words), 2, "private_key that cannot be used")


def test_accounts_from_a_file_one_bad_line_stops_no_other(company: Company) -> None:
    company.setup_erpnext()
    file = company.folder / "people.csv"
    file.write_text(f"\ufeffemail,erpnext_user\n{ANN},\nnobody\nout@elsewhere.example,\n{BOB},\n")
    done = company.watcher("accounts", "import", "--from", str(file), "--json")
    assert done.returncode == 3
    outcomes = {one["email"]: one["outcome"] for one in json.loads(done.stdout)}
    assert outcomes[ANN] == outcomes[BOB] == "connected"
    assert "not an e-mail address" in outcomes["nobody"]
    assert "WATCHER_DELEGATION_ALLOW" in outcomes["out@elsewhere.example"]
    failed(company.watcher("accounts", "import", "--from", "none.csv"), 2, "is not a file")
    failed(company.watcher("accounts", "import"), 2, "--from")


def test_accounts(shop: Company) -> None:
    listed = data(shop.watcher("accounts", "list", "--json"))
    assert isinstance(listed, list)
    assert [(a["email"], a["state"]) for a in listed] == [(ANN, "active")]
    assert shop.watcher("accounts", "pause", ANN).returncode == 0
    assert shop.sync() == "idle"
    assert shop.watcher("accounts", "resume", ANN).returncode == 0
    failed(shop.watcher("accounts", "show", "nobody@scoopjoy.test"), 5, "watcher accounts list")
    failed(shop.watcher("accounts", "invite", "not an address"), 2, "e.g. ann@example.com")
    failed(shop.watcher("--no-input", "accounts", "disconnect", ANN), 2, "--yes")
    shop.google.delegated_to = []
    failed(shop.watcher("accounts", "add", BOB, "--via", "service-account"), 4, "Admin console")


@pytest.mark.parametrize(
    ("events", "left"), [("keep", ["Open"]), ("cancel", ["Cancelled"]), ("delete", [])]
)
def test_disconnect(shop: Company, events: str, left: list[str]) -> None:
    shop.google.insert_event(ANN, shop.timed())
    assert shop.sync() == "done"
    shop.site.add_fault(match="bulk|PUT|DELETE", status=503, html=True, count=None)
    first = shop.watcher("accounts", "disconnect", ANN, "--events", events, "--yes")
    shop.site.clear_faults()
    if events == "keep":
        assert first.returncode == 0
    else:
        assert first.returncode in (3, 6), "broken off"
        again = shop.watcher("accounts", "disconnect", ANN, "--events", events, "--yes")
        assert again.returncode == 0, again.stderr
    assert [row["status"] for row in shop.rows(live=False)] == left
    assert shop.google.live_channels(ANN) == []
    # Connected again, what was kept is found by its key: nothing is doubled.
    shop.add()
    assert shop.sync() == "done"
    assert shop.mirrored() == shop.expected()
    assert len(shop.rows(live=False)) == 1


def test_secondary_calendars(shop: Company) -> None:
    shop.google.add_calendar("outlet@group.calendar.google.com", ANN, "Outlet Pune")
    shop.google.insert_event("outlet@group.calendar.google.com", shop.timed(summary="Opening"))
    added = shop.watcher("calendars", "add", ANN, "outlet@group.calendar.google.com")
    assert added.returncode == 0, added.stderr
    assert shop.watcher("resync", ANN).returncode == 0
    assert "Opening" in shop.subjects()
    listed = data(shop.watcher("calendars", "list", ANN, "--json"))
    assert isinstance(listed, list)
    assert len(listed) == 2
    failed(shop.watcher("calendars", "remove", ANN, "none"), 5)
    removed = shop.watcher("calendars", "remove", ANN, "OUTLET@group.calendar.google.com", "--json")
    shown = {"code": 0, "calendar": "outlet@group.calendar.google.com", "events": "keep"}
    assert data(removed) == shown


def test_resync_and_verify(shop: Company) -> None:
    shop.google.insert_event(ANN, shop.timed(summary="One"))
    planned = shop.watcher("resync", ANN, "--dry-run", "--json")
    assert json.loads(planned.stdout)[0]["create"] == 1
    assert shop.rows() == []
    different = shop.watcher("verify", "--all", "--json")
    assert different.returncode == 7
    assert json.loads(different.stdout)[0]["missing"] == 1
    done = shop.watcher("resync", "--all")
    assert done.returncode == 0, done.stderr
    assert shop.subjects() == ["One"]
    equal = shop.watcher("verify", "--all")
    failed(equal, 0, "equal, 1 events")
    assert shop.watcher("resync", "--all").returncode == 0
    assert len(shop.rows(live=False)) == 1
    failed(shop.watcher("resync"), 2)
    failed(shop.watcher("resync", "nobody@scoopjoy.test"), 5)
    shop.google.add_fault(match="/events", status=503, reason="backendError")
    failed(shop.watcher("verify", "--all"), 6)


def test_status_is_what_scripts_rely_on(shop: Company) -> None:
    status = data(shop.watcher("status", "--json"))
    assert isinstance(status, dict)
    assert set(status) >= {
        "version",
        "healthy",
        "accounts",
        "calendars",
        "channels",
        "queue",
        "freshness_seconds",
        "quarantined",
        "problems",
    }
    assert set(status["accounts"]) == {"active", "needs_reconnect", "paused", "invited"}
    assert set(status["calendars"]) == {
        "up_to_date",
        "syncing",
        "delayed",
        "failing",
        "paused",
        "poll_only",
    }
    assert set(status["channels"]) == {"live", "silent", "missing", "next_expiry"}
    assert set(status["queue"]) == {"live", "backfill", "oldest_seconds"}
    assert {"p50", "p95", "count"} <= set(status["freshness_seconds"])
    for problem in status["problems"]:
        assert set(problem) >= {"account", "calendar", "state", "cause", "since", "next_step"}
        assert problem["next_step"]


def test_channels_and_tokens(shop: Company) -> None:
    (listed,) = json.loads(shop.watcher("channels", "list", "--json").stdout)
    assert listed["account"] == ANN
    assert shop.watcher("channels", "renew", "--all").returncode == 0
    forced = json.loads(shop.watcher("channels", "renew", ANN, "--force", "--json").stdout)
    assert [one["outcome"] for one in forced] == ["renewed"]
    tokens = shop.watcher("tokens", "list", "--json")
    assert "ya29" not in tokens.stdout
    assert shop.watcher("tokens", "renew", "--all").returncode == 0
    assert shop.watcher("channels", "stop", ANN, "--yes").returncode == 0
    assert shop.google.live_channels(ANN) == []


def test_erpnext_in_trouble(company: Company) -> None:
    company.site.wrong_keys = True
    failed(company.watcher("erpnext", "setup"), 4, "API key")
    company.site.wrong_keys = False
    company.site.html = True
    failed(company.watcher("erpnext", "setup"), 6)
    company.site.html = False
    company.set("erpnext_url", "http://127.0.0.1:9")
    failed(company.watcher("erpnext", "setup"), 6, "cannot be reached")


def test_setup_is_repeatable_and_says_what_it_would_do(company: Company) -> None:
    dry = json.loads(company.watcher("erpnext", "setup", "--dry-run", "--json").stdout)
    assert len(dry["missing"]) == 10 + company.site.erpnext  # the employee
    assert company.site.rows("Custom Field") == []
    assert company.watcher("erpnext", "setup").returncode == 0
    again = json.loads(company.watcher("erpnext", "setup", "--json").stdout)
    assert (again["missing"], again["created"]) == ([], [])


def test_the_queue_shows_what_was_set_aside(shop: Company) -> None:
    broken = shop.timed()
    del broken["start"]
    shop.google.insert_event(ANN, broken, raw=True)
    assert shop.sync() == "done"
    shown = shop.watcher("queue", "show", "--json")
    assert "start" in shown.stdout
    assert data(shop.watcher("queue", "retry", "--json")) == {"code": 0, "calendars": 1}


def test_nothing_prints_a_secret(shop: Company) -> None:
    shop.watcher("accounts", "invite", ADMIN)
    secrets = (shop.key, shop.site.api_secret, CLIENT_SECRET)
    for words in (
        ("config", "show"),
        ("config", "show", "--json"),
        ("status",),
        ("accounts", "list"),
        ("tokens", "list"),
        ("channels", "list"),
        ("-v", "verify", "--all"),
    ):
        done = shop.watcher(*words)
        for secret in secrets:
            assert secret not in done.stdout + done.stderr, words


def test_setup_names_the_permission_that_is_missing(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_role = ROLES["Event"]
    monkeypatch.setitem(ROLES, "Event", (by_role[0], by_role[1] - {"delete"}))
    done = company.watcher("erpnext", "setup", "--json")
    failed(done, 4, "may not delete Event", "Role Permissions Manager")
    assert len(json.loads(done.stdout)["created"]) == 10 + company.site.erpnext
    monkeypatch.setitem(ROLES, "Event", by_role)
    assert company.watcher("erpnext", "setup").returncode == 0
