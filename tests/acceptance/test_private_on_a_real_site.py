"""What became private is nowhere in the database of a real Frappe, and all else works there, with
the rights that the API user has.

A site is named as in ``tests.desk_site``. Besides, WATCHER_TEST_DESK_15_DUMP is a command that
prints the whole database as SQL, and WATCHER_TEST_DESK_15_JOBS one that runs what the site's
scheduler would (filling the search index); the same with 16. Without them nothing is collected
here: the same search on the sandbox, which keeps what Frappe keeps, is in
``tests/integration/test_private_is_gone.py``.
"""

from __future__ import annotations

import os
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.company import Company
from tests.desk_site import RealSite, named
from tests.waiting import wait_for
from watcher.accounts.verbs import pause, resume
from watcher.doctor import erpnext, rights
from watcher.doctor.case import Case
from watcher.doctor.say import Verdict
from watcher.erpnext.role import lacking
from watcher.erpnext.todos import ToDo, close, put
from watcher.events.fields import STALE
from watcher.settings import load
from watcher.sync.marking import mark_calendars
from watcher_sandbox.google import GoogleState
from watcher_sandbox.google import serve as serve_google

COMMANDS = {
    (version, name): os.environ.get(f"WATCHER_TEST_DESK_{version}_{name}", "")
    for version in (15, 16)
    for name in ("DUMP", "JOBS")
}
REAL = [site for v in (15, 16) if (site := named(v)) and COMMANDS[v, "DUMP"]]


def command(site: RealSite, name: str) -> str:
    """What a command of the environment prints; nothing without one."""
    words = COMMANDS[site.frappe, name]
    done = subprocess.run(words, shell=True, capture_output=True, check=True)
    return done.stdout.decode(errors="replace")


@dataclass
class Secret:
    """An account with a series and a meeting whose texts are to be gone."""

    company: Company
    site: RealSite
    email: str
    canary: str

    def put(self, hours: float, **extra: Any) -> str:
        texts: dict[str, Any] = {
            name: f"{self.canary} {name}" for name in ("summary", "description", "location")
        }
        body = self.company.timed(hours=hours, **{**texts, **extra})
        made: str = self.company.google.insert_event(self.email, body)
        return made

    def sync(self) -> None:
        assert self.company.sync(self.email) == "done"

    @property
    def found(self) -> int:
        command(self.site, "JOBS")
        return command(self.site, "DUMP").count(self.canary)


def opened_case(company: Company) -> Iterator[Case]:
    """What the doctor looks at."""
    yield Case(load(company.environ), company.services)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """The real sites that are named."""
    if "secret" in metafunc.fixturenames:
        metafunc.parametrize("secret", REAL, ids=[str(s.frappe) for s in REAL], indirect=True)


if REAL:

    @pytest.fixture
    def secret(request: pytest.FixtureRequest, tmp_path: Path, queue_url: str) -> Iterator[Secret]:
        site: Any = request.param  # a RealSite does for a company's Site what this test asks
        mark = uuid.uuid4().hex[:10]
        with ExitStack() as stack:
            google = GoogleState()
            server = stack.enter_context(closing(serve_google(google)))
            company = stack.enter_context(
                closing(
                    Company(
                        google=google,
                        site=site,
                        folder=tmp_path,
                        google_url=server.url,
                        erpnext_url=site.url,
                        queue_url=queue_url,
                        database_url=f"sqlite:///{tmp_path / 'ledger.sqlite3'}",
                    )
                )
            )
            made = Secret(company, site, f"secret-{mark}@scoopjoy.test", f"CANARY{mark}")
            site.account = made.email
            google.add_user(made.email, time_zone=site.zone)
            company.setup_erpnext()
            company.add(made.email)
            stack.callback(site.clear)
            yield made

    def test_what_became_private_is_nowhere_in_the_database(secret: Secret) -> None:
        meeting, series = secret.put(24), secret.put(48, recurrence=["RRULE:FREQ=DAILY;COUNT=4"])
        secret.sync()
        secret.company.google.patch_event(
            secret.email, meeting, {"summary": f"{secret.canary} renamed"}
        )
        secret.sync()
        assert secret.found > 10, "the search finds what is readable"
        for event_id in (meeting, series):
            secret.company.google.patch_event(secret.email, event_id, {"visibility": "private"})
        secret.sync()
        wait_for(lambda: secret.found == 0, what="ERPNext's background jobs", seconds=60)
        assert secret.company.subjects(secret.email) == ["Busy"] * 5

    def test_all_of_it_works_with_the_rights_that_the_api_user_has(secret: Secret) -> None:
        """Run it with the key of a user that has the role Watcher alone."""
        company, google, email = secret.company, secret.company.google, secret.email
        client = company.services.erpnext
        for check in (rights.erasing, erpnext.fields, erpnext.unique, erpnext.mandatory):
            for case in opened_case(company):
                assert check(case).verdict == Verdict.OK, check(case)
        assert lacking(client) == []
        kept, renamed = secret.put(24), secret.put(30)
        secret.sync()
        google.patch_event(email, renamed, {"summary": "Renamed"})
        google.delete_event(email, kept)
        secret.sync()
        assert company.subjects(email) == ["Renamed"]
        for words in (["verify", email], ["explain", email, "Renamed"], ["status", "--json"]):
            done = company.watcher(*words)
            assert "permission" not in done.stdout + done.stderr, done
        todo = ToDo(user=secret.site.user, text=f"{secret.canary} ask", marker=secret.canary)
        name = put(client, todo)
        assert put(client, todo) == name
        close(client, name)
        client.delete("ToDo", name)

    def test_what_is_not_kept_current_says_so(secret: Secret) -> None:
        company, email = secret.company, secret.email
        for hours in (24, 30):
            secret.put(hours)
        secret.sync()
        pause(company.services, email)
        company.later(hours=2)
        mark_calendars(company.services)
        assert all(row[STALE] for row in company.rows(email))
        assert mark_calendars(company.services) == 0
        resume(company.services, email)
        secret.sync()
        mark_calendars(company.services)
        assert not any(row[STALE] for row in company.rows(email))
