"""resync, verify, status, queue, channels, tokens and erpnext setup, with nothing else running
and beside a running Watcher."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.company import ANN, BOB, Company
from tests.integration.test_cli_runner import run, sqlite_only
from tests.waiting import wait_for

pytestmark = pytest.mark.one_shape("postgres")

BY_HAND = {"modified_by": "Administrator"}
STATUS_KEYS = {
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


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """What depends on the kind of database has tests in test_cli.py."""
    return f"sqlite:///{tmp_path / 'ledger.sqlite3'}"


@pytest.fixture
def shop(company: Company) -> Company:
    company.connect()
    return company


def picture(company: Company) -> list[dict[str, Any]]:
    """All that ERPNext holds, to the last field: nobody may have written meanwhile."""
    return sorted(company.site.events(), key=lambda row: row["name"])


# --- resync ---------------------------------------------------------------------------------


def test_a_dry_run_writes_nothing_and_counts_what_resync_then_does(shop: Company) -> None:
    shop.google.insert_event(ANN, shop.timed(summary="Kept"))
    moved = shop.google.insert_event(ANN, shop.timed(hours=30, summary="Before"))
    gone = shop.google.insert_event(ANN, shop.timed(hours=40, summary="Gone"))
    assert shop.sync() == "done"
    shop.google.patch_event(ANN, moved, {"summary": "After"})
    shop.google.delete_event(ANN, gone)
    shop.google.insert_event(ANN, shop.timed(hours=50, summary="New"))
    before, token = picture(shop), shop.calendar().sync_token
    (planned,) = run(shop, "resync", ANN, "--dry-run", "--json").data
    counts = {k: planned[k] for k in ("create", "update", "cancel", "keep")}
    assert counts == {"create": 1, "update": 1, "cancel": 1, "keep": 1}
    run(shop, "resync", "--all", "--dry-run", says=("dry run: ", "create 1"))
    assert picture(shop) == before
    assert shop.calendar().sync_token == token
    (done,) = run(shop, "resync", "--all", "--json").data
    assert done | {"skipped": 0} == {
        "account": ANN,
        "calendar": ANN,
        "outcome": "done",
        "code": 0,
        "created": 1,
        "updated": 1,
        "cancelled": 1,
        "unchanged": 1,
        "skipped": 0,
        "refused": 0,
    }
    assert shop.mirrored() == shop.expected()
    before = picture(shop)
    run(shop, "resync", ANN, says=(f"{ANN}: done: unchanged 3",))
    assert picture(shop) == before, "what is equal is not written again"


def test_resync_of_some_of_them(shop: Company) -> None:
    run(shop, "accounts", "add", BOB, "--via", "service-account")
    run(shop, "resync", code=2, says=("--all",))
    assert [r["account"] for r in run(shop, "resync", BOB, "--json").data] == [BOB]
    run(shop, "resync", ANN, "--calendar", "none", code=5, says=("watcher calendars list",))
    assert len(run(shop, "resync", "--all", "--calendar", BOB, "--json").data) == 1
    run(shop, "accounts", "pause", BOB)
    done = run(shop, "resync", ANN, BOB, "--json", says=(f"{BOB}: left out, it is paused",))
    assert [r["account"] for r in done.data] == [ANN]
    run(shop, "resync", BOB, code=5, says=("is active", "watcher accounts list"))
    shop.google.add_fault(match=f"calendars/{ANN}/events", status=403, reason="forbidden")
    run(shop, "accounts", "resume", BOB)
    done = run(shop, "resync", "--all", "--json", code=3)
    assert {r["account"]: r["code"] for r in done.data} == {ANN: 4, BOB: 0}


@pytest.mark.parametrize(
    ("command", "fault", "code", "says"),
    [
        ("resync", {"status": 503, "reason": "backendError"}, 6, "503"),
        ("resync", {"status": 403, "reason": "forbidden"}, 4, "forbidden"),
        ("verify", {"status": 403, "reason": "forbidden"}, 4, "forbidden"),
        ("resync", {"status": 404, "reason": "notFound"}, 5, "404"),
        ("verify", {"status": 404, "reason": "notFound"}, 5, "404"),
        ("verify", {"status": 200, "body": "<html>"}, 6, "Google"),
    ],
)
def test_google_in_trouble(
    shop: Company, command: str, fault: dict[str, Any], code: int, says: str
) -> None:
    shop.google.insert_event(ANN, shop.timed())
    assert shop.sync() == "done"
    before = picture(shop)
    shop.google.add_fault(match="/events", **fault)
    (told,) = run(shop, command, ANN, "--json", code=code).data
    assert told["code"] == code
    assert says in told["outcome"]
    assert picture(shop) == before
    shop.google.clear_faults()
    run(shop, "resync", ANN, says=("unchanged 1",))


def test_a_revoked_grant_is_4(shop: Company) -> None:
    shop.google.delegated_to = []
    shop.google.expire_access_tokens()
    run(shop, "resync", ANN, code=4)


def test_a_mass_cancellation_is_held_until_it_is_confirmed(shop: Company) -> None:
    ids = [shop.google.insert_event(ANN, shop.timed(hours=n + 2)) for n in range(24)]
    run(shop, "resync", ANN, says=("created 24",))
    for event in ids[:-1]:
        shop.google.delete_event(ANN, event)
    shop.google.expire_sync_tokens()
    run(shop, "resync", ANN, "--dry-run", says=("would wait for you to confirm", "23 of 24"))
    run(shop, "resync", ANN, code=7, says=("waits for you to confirm", "23 of 24", "--force"))
    assert len(shop.rows()) == 24
    status = run(shop, "status", "--json", code=7).data
    (problem,) = [p for p in status["problems"] if p["account"] == ANN]
    assert "--force" in problem["next_step"]
    run(shop, "resync", ANN, "--force", says=("cancelled 23",))
    assert len(shop.rows()) == 1
    run(shop, "verify", "--all", says=("equal",))


def test_a_resync_that_was_killed_is_taken_up(shop: Company) -> None:
    for number in range(30):
        shop.google.insert_event(ANN, shop.timed(hours=number + 2, summary=f"Shift {number}"))
    shop.google.behaviour.page_limit = 10
    stuck = shop.google.add_fault(match="pageToken", delay=4.0, skip=1, count=1)
    killed = shop.start("resync", ANN)
    wait_for(lambda: stuck.struck, what="the third page")
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    assert shop.calendar().snapshot_seq, "the ledger remembers what was asked"
    a_minute_passes(shop)
    (done,) = run(shop, "resync", ANN, "--json").data
    assert (done["code"], done["created"] + done["unchanged"]) == (0, 30)
    assert len(shop.rows(live=False)) == 30
    assert shop.calendar().snapshot_seq == 0


def a_minute_passes(company: Company) -> None:
    """For leases alone: what a dead process held lapses now, and not in sixty seconds."""
    with company.services.db.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE calendars SET lease_until = 0")


# --- verify ---------------------------------------------------------------------------------


def test_verify_names_what_differs_and_changes_nothing(shop: Company) -> None:
    google, site = shop.google, shop.site
    run(shop, "verify", says=(f"{ANN}: equal, 0 events",))
    for number in range(8):
        google.insert_event(ANN, shop.timed(hours=number + 2, summary=f"Shift {number}"))
    assert shop.sync() == "done"
    rows = {row["subject"]: row for row in shop.rows()}
    site.put("Event", rows["Shift 0"] | BY_HAND | {"subject": "Changed by hand"})
    site.put("Event", rows["Shift 1"] | BY_HAND | {"starts_on": "2020-01-01 00:00:00"})
    for number in range(2, 8):
        site.remove("Event", rows[f"Shift {number}"]["name"])
    extra = google.insert_event(ANN, shop.timed(hours=90, summary="Extra"))
    assert shop.sync() == "done"
    google.delete_event(ANN, extra)
    before, calls = picture(shop), shop.calendar().sync_token
    (found,) = run(shop, "verify", "--all", "--json", code=7).data
    assert (found["missing"], found["extra"]) == (6, 1)
    assert found["different"] >= 1
    assert len(found["missing_examples"]) == 5
    named = {"event", "detail", "title", "day", "private"}
    assert set(found["missing_examples"][0]) == named
    done = run(shop, "verify", ANN, code=7, says=("6 missing", "... and 1 more missing"))
    assert f"do: watcher resync {ANN}" in done.says
    assert "(subject)" in done.says
    assert picture(shop) == before
    assert shop.calendar().sync_token == calls
    run(shop, "resync", ANN)
    run(shop, "verify", ANN, says=("equal",))


def test_verify_of_one_who_differs_among_equals(shop: Company) -> None:
    run(shop, "accounts", "add", BOB, "--via", "service-account")
    run(shop, "resync", "--all")
    shop.google.insert_event(BOB, shop.timed())
    found = run(shop, "verify", "--all", "--json", code=7).data
    assert {f["account"]: f["outcome"] for f in found} == {ANN: "equal", BOB: "different"}
    run(shop, "verify", ANN)
    run(shop, "verify", BOB, code=7)


def test_nobody_to_verify(company: Company) -> None:
    run(company, "verify", "--all", says=("no account is active",))
    run(company, "resync", "--all", says=("no account is active",))
    assert run(company, "verify", "--json").data == []


# --- status, queue --------------------------------------------------------------------------


def test_status_has_the_keys_that_scripts_rely_on(shop: Company) -> None:
    run(shop, "accounts", "invite", BOB)
    status = run(shop, "status", "--json", code=7).data
    assert set(status) >= STATUS_KEYS
    for part, keys in {
        "accounts": {"active", "needs_reconnect", "paused", "invited"},
        "calendars": {"up_to_date", "syncing", "delayed", "failing", "paused", "poll_only"},
        "channels": {"live", "silent", "missing", "next_expiry"},
        "queue": {"live", "backfill", "oldest_seconds"},
    }.items():
        assert set(status[part]) == keys, part
    assert set(status["freshness_seconds"]) >= {"p50", "p95", "count"}
    assert (status["accounts"]["active"], status["accounts"]["invited"]) == (1, 1)
    assert (status["calendars"]["up_to_date"], status["channels"]["live"]) == (1, 1)
    assert status["channels"]["next_expiry"].endswith("Z")
    assert [p["cause"] for p in status["problems"]] == ["cron_not_running"] * 2
    for problem in status["problems"]:
        assert set(problem) >= {"account", "calendar", "state", "cause", "since", "next_step"}
        assert "watcher up" in problem["next_step"]
    screen = run(shop, "status", code=7, says=("needs attention", "do: start `watcher up`"))
    assert max(len(line) for line in screen.out.splitlines()) <= 80
    assert screen.err == ""


def test_a_queue_that_is_away_is_said_with_what_to_do(shop: Company) -> None:
    shop.set("redis_url", "redis://127.0.0.1:9/0")
    began = time.monotonic()
    problems = run(shop, "status", "--json", code=7).data["problems"]
    assert time.monotonic() - began < 30, "half a second of patience, not a worker's minute"
    assert "start Redis/Valkey" in [p["next_step"] for p in problems]
    del shop.environ["WATCHER_REDIS_URL"]
    problems = run(shop, "status", "--json", code=7).data["problems"]
    assert any("watcher up" in p["next_step"] for p in problems if p["state"] == "queue_down")
    # All that does not need the queue works on: what is asked for is kept in the ledger.
    shop.google.insert_event(ANN, shop.timed())
    shop.google.add_calendar("x@group.calendar.google.com", ANN)
    for words in (
        ("resync", ANN),
        ("verify",),
        ("queue", "show"),
        ("queue", "retry"),
        ("channels", "renew"),
        ("accounts", "pause", ANN),
        ("accounts", "resume", ANN),
        ("calendars", "add", ANN, "x@group.calendar.google.com"),
    ):
        run(shop, *words)
    assert len(shop.rows()) == 1


def test_the_queue_shows_what_failed_and_what_was_set_aside(shop: Company) -> None:
    assert run(shop, "queue", "show", "--json").data == {
        "waiting": {"live": 0, "backfill": 1},
        "failed": [],
        "quarantined": [],
    }
    run(shop, "queue", "retry", says=("nothing to try again",))
    shop.site.add_fault(
        match="insert", status=417, exc_type="ValidationError", message="A rule of ours", count=None
    )
    event = shop.google.insert_event(ANN, shop.timed(summary="Refused"))
    run(shop, "resync", ANN, code=3, says=("refused 1",))
    (aside,) = run(shop, "queue", "show", "--json").data["quarantined"]
    assert (aside["account"], aside["event"]) == (ANN, event)
    assert "A rule of ours" in aside["message"]
    run(shop, "queue", "show", says=(event, "A rule of ours", "no calendar's last try failed"))
    assert run(shop, "status", "--json", code=7).data["quarantined"] == 1
    shop.google.add_fault(match="/events", status=503, count=None)
    run(shop, "resync", ANN, code=6)
    (failed,) = run(shop, "queue", "show", "--json").data["failed"]
    assert (failed["account"], failed["cause"]) == (ANN, "google_unavailable")
    shop.google.clear_faults()
    shop.site.clear_faults()
    run(shop, "queue", "retry", says=("to be tried again: 1 calendar",))
    assert shop.sync() == "done"
    assert shop.subjects() == ["Refused"]
    assert run(shop, "queue", "show", "--json").data["quarantined"] == []


# --- channels, tokens -----------------------------------------------------------------------


def test_channels(shop: Company) -> None:
    run(shop, "accounts", "add", BOB, "--via", "service-account")
    run(shop, "resync", BOB)
    run(shop, "channels", "renew", says=("nothing is due",))
    listed = run(shop, "channels", "list", "--json").data
    assert {c["account"] for c in listed} == {ANN, BOB}
    assert set(listed[0]) == {
        "account",
        "calendar",
        "id",
        "state",
        "life_left",
        "expires",
        "renews",
        "heard",
    }
    assert all(0.99 < c["life_left"] <= 1 for c in listed)
    forced = run(shop, "channels", "renew", "--all", "--force", "--json").data
    assert [r["outcome"] for r in forced] == ["renewed", "renewed"]
    run(shop, "channels", "renew", ANN, "--force", says=(f"{ANN}: renewed",))
    shop.google.add_fault(match="watch", status=503, count=None)
    run(shop, "channels", "renew", "--all", "--force", code=6)
    shop.google.clear_faults()
    run(shop, "channels", "stop", ANN, code=2, says=("add --yes",))
    assert shop.google.live_channels(ANN)
    run(shop, "channels", "stop", ANN, "--yes", says=("stopped",))
    assert shop.google.live_channels(ANN) == []
    run(shop, "channels", "stop", ANN, "--yes", says=("0 channels stopped",))
    reopened = run(shop, "channels", "renew", ANN, "--force", "--json").data
    assert [r["outcome"] for r in reopened] == ["opened"]
    assert len(shop.google.live_channels(ANN)) == 1


def test_tokens(shop: Company) -> None:
    run(shop, "accounts", "invite", BOB)
    listed = {t["account"]: t for t in run(shop, "tokens", "list", "--json").data}
    assert set(listed[ANN]) == {"account", "state", "via", "expires", "minutes_left"}
    assert 55 < listed[ANN]["minutes_left"] <= 60
    assert listed[BOB]["expires"] is None
    run(shop, "tokens", "renew", code=2, says=("--all",))
    assert run(shop, "tokens", "renew", "--all", "--json").data == [
        {"account": ANN, "outcome": "renewed"}
    ]
    shop.google.add_fault(match="/token", status=502, count=None)
    run(shop, "tokens", "renew", ANN, code=6)
    shop.google.clear_faults()
    for words in (("tokens", "list"), ("tokens", "list", "--json"), ("tokens", "renew", ANN)):
        done = run(shop, *words)
        for secret in shop.google.oauth.access_tokens:
            assert secret not in done.out + done.err


# --- erpnext setup --------------------------------------------------------------------------


def test_setup_makes_what_is_missing_and_only_that(company: Company) -> None:
    dry = run(company, "erpnext", "setup", "--dry-run", "--json").data
    assert dry["dry_run"]
    assert len(dry["missing"]) == 10
    assert dry["created"] == []
    run(company, "erpnext", "setup", "--dry-run", says=("10 would be made",))
    assert company.site.rows("Custom Field") == []
    first = run(company, "erpnext", "setup", "--json").data
    assert sorted(first["created"]) == sorted(dry["missing"])
    fields = company.site.rows("Custom Field")
    again = run(company, "erpnext", "setup", "--json").data
    assert (again["missing"], again["created"], again["wrong"]) == ([], [], [])
    assert company.site.rows("Custom Field") == fields
    one = next(f["name"] for f in fields if f["fieldname"] == "custom_synced_from")
    company.site.remove("Custom Field", one)
    assert run(company, "erpnext", "setup", "--json").data["created"] == ["custom_synced_from"]
    run(company, "erpnext", "setup", says=("10 fields were there, 0 made",))


def test_setup_with_a_role_of_its_own(company: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    setup = ("erpnext", "setup")
    run(company, *setup, "--role", "yes", says=("may read Version", "later setup needs the key"))
    site, user = company.site, "integration@scoopjoy.test"
    assert not site.is_system_manager(user)
    run(company, *setup, code=4, says=("erpnext setup --admin-key",))
    run(company, *setup, "--admin-key", code=2, says=("ERPNEXT_ADMIN_KEY=KEY:SECRET",))
    monkeypatch.setenv("ERPNEXT_ADMIN_KEY", "no key")
    run(company, *setup, code=2, says=("not of the form KEY:SECRET",))
    key = ":".join(site.add_user("boss@scoopjoy.test", system_manager=True))
    monkeypatch.setenv("ERPNEXT_ADMIN_KEY", key)
    done = run(company, *setup, "--role", "yes", "--json")
    assert done.data["user"] == user
    assert done.data["role"]["changed"] == []
    assert key not in done.out + done.err
    taken_back = run(company, *setup, "--role", "no", "--json").data["role"]
    assert f"{user} has the role System Manager" in taken_back["changed"]
    assert site.is_system_manager(user)


def test_a_role_is_not_taken_off_a_person_without_asking(company: Company) -> None:
    row = company.site.row("User", "integration@scoopjoy.test")
    assert row is not None
    names = ("System Manager", "HR Manager")
    has = [{"name": f"row-{name}", "role": name} for name in names]
    company.site.put("User", row | {"roles": has})
    words = ("erpnext", "setup", "--role", "yes")
    run(company, *words, code=2, says=("HR Manager", "--yes"))
    assert company.site.is_system_manager("integration@scoopjoy.test")
    run(company, *words, "--yes", says=("roles taken off", "HR Manager"))


def test_no_role_beside_the_connected_app(company: Company) -> None:
    run(
        company, "erpnext", "setup", "--role", "yes", "--connected-app", code=2, says=("too small",)
    )


def test_setup_in_trouble(company: Company) -> None:
    site, words = company.site, ("erpnext", "setup")
    weak = site.add_user("weak@scoopjoy.test")
    good = company.environ["WATCHER_ERPNEXT_API_KEY"], company.environ["WATCHER_ERPNEXT_API_SECRET"]
    company.environ["WATCHER_ERPNEXT_API_KEY"], company.environ["WATCHER_ERPNEXT_API_SECRET"] = weak
    run(company, *words, code=4, says=("System Manager",))
    assert site.rows("Custom Field") == []
    company.set("erpnext_api_key", good[0])
    run(company, *words, code=4, says=("API key",))
    company.set("erpnext_api_secret", good[1])
    site.html = True
    run(company, *words, code=6, says=("page instead of JSON",))
    site.html, site.maintenance = False, "full"
    run(company, *words, code=6)
    site.maintenance = ""
    site.limit_rate(60)
    run(company, *words, code=6)
    site.clear_troubles()
    company.set("erpnext_url", "http://127.0.0.1:9")
    run(company, *words, code=6, says=("cannot be reached", "do: "))
    for name in ("URL", "API_KEY", "API_SECRET"):
        company.environ[f"WATCHER_ERPNEXT_{name}"] = ""
    done = run(company, *words, code=2)
    for name in ("URL", "API_KEY", "API_SECRET"):
        assert f"WATCHER_ERPNEXT_{name}" in done.says


def test_fields_that_are_missing_are_told_with_the_command(company: Company) -> None:
    company.add()
    run(company, "resync", ANN, code=1)
    status = run(company, "status", "--json", code=7).data
    (problem,) = [p for p in status["problems"] if p["account"] == ANN]
    assert problem["next_step"] == "watcher erpnext setup"
    run(company, "erpnext", "setup")
    run(company, "resync", ANN)


# --- beside a running Watcher ---------------------------------------------------------------


def test_beside_a_running_watcher(company: Company) -> None:
    del company.environ["WATCHER_REDIS_URL"]
    company.set("sweep_seconds", "1")
    company.rebuild()
    company.setup_erpnext()
    process = company.start("up", "--port", str(company.port), "--workers", "1")
    wait_for(company.web_is_up, what="the web server")
    run(company, "accounts", "add", ANN, "--via", "service-account")
    wait_for(lambda: company.calendar().last_success_at, what="the first sync")
    for number in range(12):
        company.google.insert_event(ANN, company.timed(hours=number + 2, summary=f"S{number}"))
        if number % 3 == 0:
            assert run(company, "resync", ANN, "--json").data[0]["outcome"] == "done"
    wait_for(lambda: company.mirrored() == company.expected(), what="the mirror")
    run(company, "verify", "--all", says=("equal, 12 events",))
    assert len(company.rows(live=False)) == 12
    company.await_health(1)
    wait_for(lambda: "healthy" in company.watcher("status").stdout, what="the same as text")
    run(company, "queue", "show", says=("waiting: live 0, backfill 0",))
    run(company, "channels", "renew", "--all", "--force", says=("renewed",))
    run(company, "accounts", "pause", ANN)
    wait_for(lambda: company.calendar().lease_owner is None, what="what was under way")
    company.google.insert_event(ANN, company.timed(hours=60, summary="Meanwhile"))
    company.google.wait_pushes()
    assert len(company.rows()) == 12
    run(company, "accounts", "resume", ANN)
    wait_for(lambda: "Meanwhile" in company.subjects(), what="what came meanwhile")
    process.terminate()
    assert process.wait(60) == 0


@sqlite_only
def test_a_resync_that_fails_says_what_mends_its_cause(shop: Company) -> None:
    shop.set("erpnext_api_secret", "wrong")
    run(shop, "resync", ANN, code=4, says=("do: check WATCHER_ERPNEXT_API_KEY",))
