"""The last day, hour by hour, and the plots that are made of it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from tests.company import ADMIN, Company
from watcher.handlers import charts
from watcher.handlers.app import create_app
from watcher.ledger import hours
from watcher.ledger.db import Database
from watcher.ledger.hours import Hour
from watcher.ledger.models import Account, Calendar, Channel, Run
from watcher.ledger.states import AccountState, ChannelState

NOW = datetime(2026, 11, 30, 12, 34, 56, tzinfo=UTC)
TOP = NOW.replace(minute=0, second=0)


def run(hours_ago: float, reason: str = "push", **more: object) -> Run:
    at = TOP - timedelta(hours=hours_ago) + timedelta(minutes=10)
    return Run(calendar_id=1, kind="delta", reason=reason, started_at=at, **more)


def failed(hours_ago: float, cause: str) -> Run:
    row = run(hours_ago, "sweep")
    row.kind, row.error = "failed", f"{cause}: of the test: twice"
    return row


def channel(name: str, hours: float, state: ChannelState = ChannelState.LIVE) -> Channel:
    row = Channel(id=name, calendar_id=1, token_hash="x", state=state)
    row.requested_at = row.opened_at = NOW
    row.expires_at = NOW + timedelta(hours=hours)
    return row


def test_each_pass_is_in_its_hour(db: Database) -> None:
    with db.session() as session:
        account = Account(
            id=1, email="a@b.test", source="oauth", state=AccountState.ACTIVE, since=NOW
        )
        account.created_at = NOW
        session.add_all([account, Calendar(id=1, account_id=1, google_id="a@b.test", since=NOW)])
        session.flush()
        session.add_all(
            [
                run(0, created=2, lag_google=1.0),
                run(0, updated=1, lag_google=3.0),
                run(0, "poll", cancelled=4),
                run(0, "poll"),
                run(23, updated=5, lag_google=9.0),
                run(24.5, updated=100, lag_google=100.0),
                failed(0, "auth"),
                failed(2, "auth"),
                failed(2, "google_unavailable"),
                failed(24.5, "auth"),
                channel("a", hours=1),
                channel("b", hours=167),
                channel("c", hours=169),
                channel("d", hours=2, state=ChannelState.RETIRING),
            ]
        )
    with db.reading() as session:
        found = hours.last(session, NOW)
        failures, ends = hours.failures(session, NOW), hours.channel_ends(session, NOW)
    assert list(failures) == ["auth", "google_unavailable"]
    assert [(n, count) for n, count in enumerate(failures["auth"]) if count] == [(21, 1), (23, 1)]
    assert [(n, count) for n, count in enumerate(ends) if count] == [(0, 1), (27, 1)]
    assert [hour.begins for hour in found] == [TOP - timedelta(hours=n) for n in range(23, -1, -1)]
    last = Hour(TOP, 1.0, 3.0, created=2, updated=1, cancelled=4, pushes=2, by_poll=1)
    assert (found[-1], found[0]) == (last, Hour(found[0].begins, 9.0, 9.0, updated=5, pushes=1))
    assert all(hour == Hour(hour.begins) for hour in found[1:-1])


def test_a_plot_keeps_within_its_frame_and_its_bars_add_up() -> None:
    day = [
        Hour(TOP - timedelta(hours=n), 0.2 + n, 0.3 + 7 * n, n, 2 * n, 3 * n, n, 1)
        for n in range(24)
    ]
    drawn = charts.draw(day, {}, [0] * 28, NOW)
    for line in drawn.freshness.series:
        assert len(line.dots) == 24
        assert all(0 <= x <= charts.WIDTH and 0 < y < charts.HEIGHT for x, y in line.dots)
    boxes = [box for series in drawn.writes.series for box in series.boxes]
    assert all(0 <= x <= charts.WIDTH and y >= charts.HEAD and height > 0 for x, y, height in boxes)
    unit = (charts.HEIGHT - charts.FOOT - charts.HEAD) / 200  # the next round number above 138
    highest = sum(height for x, _, height in boxes if x > charts.WIDTH - 20)
    assert abs(highest - 138 * unit) < 0.5
    causes = {name: [1] * 24 for name in ("auth", "a", "b", "c", "d")}
    shown = charts.draw(day, causes, range(28), NOW)
    names = [each.name for each in shown.failures.series]
    assert names == ["auth", "a", "b", "other causes"]
    assert shown.ends.said == "378 end within seven days"
    assert len(shown.ends.hours) == 7
    assert drawn.writes.said == f"{sum(6 * n for n in range(24)):,} in all, 138 in this hour"
    assert charts.draw([Hour(TOP)] * 24, {}, [0] * 28, NOW) == charts.Charts(*[charts.Chart()] * 5)


def test_the_page_has_its_plots_its_light_and_nothing_of_a_style(company: Company) -> None:
    company.connect()
    client = create_app(company.services).test_client()
    with client.session_transaction() as session:
        session["admin"] = ADMIN
    answer = client.get("/")
    page = answer.get_data(as_text=True)
    assert re.search(r'<svg[^>]+aria-label="Pushes heard, and|nothing yet', page)
    assert "<style" not in page
    assert "style=" not in page, "the policy of the page forbids it"
    light = re.search(r'id="icon"[^>]+static/icon-(\w+)\.svg', page)
    assert light is not None
    assert f'class="verdict {light[1]}" role="status"' in page
    with client.get(f"/static/icon-{light[1]}.svg") as icon:
        assert icon.status_code == 200
    policy = answer.headers["Content-Security-Policy"]
    assert "script-src 'self'; connect-src 'self'" in policy
    assert "script-src" not in client.get("/event").headers["Content-Security-Policy"]
    assert "refresh" not in page.replace("refresh tokens", "")
