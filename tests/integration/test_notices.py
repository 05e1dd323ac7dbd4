"""Who is told what when something needs a person, and that the notice closes itself."""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Iterator
from datetime import timedelta

import pytest

from tests.company import ADMIN, ANN, BOB, DOMAIN, Company
from tests.postbox import HOOK_SECRET, PASSWORD, Postbox
from watcher.accounts.tokens import refresh_one
from watcher.accounts.users import look_at_names
from watcher.channels import renewal
from watcher.errors import Transient
from watcher.ledger import accounts, leases, overview, runs
from watcher.ledger import notices as ledger
from watcher.notices import employees
from watcher.notices.media import Mail, Mailbox, send_mail
from watcher.notices.tell import tell
from watcher.services import build

pytestmark = pytest.mark.one_shape("sqlite")

CREW = [f"crew{n}@{DOMAIN}" for n in range(6)]
MAIL = Mail(sender="watcher@scoopjoy.test", recipients=(ADMIN,), subject="subject", text="text")


@pytest.fixture
def postbox(company: Company) -> Iterator[Postbox]:
    box = Postbox()
    company.set("smtp_url", box.smtp_url)
    company.set("notify_webhook_url", box.webhook_url)
    yield box
    box.close()


@pytest.fixture
def shop(company: Company, postbox: Postbox) -> Company:
    """Ann consented, Bob is delegated; both are mirrored, and cron ticks."""
    company.setup_erpnext()
    company.add(BOB)
    company.consented(ANN)
    for email in (ANN, BOB):
        assert company.sync(email) == "done"
    return company


def told(company: Company, **after: float) -> int:
    """Let some time pass, do what cron and workers would have done, and tell."""
    company.later(**after)
    renewal.renew_due(company.services)
    with company.services.db.session() as session:
        active = [a.email for a in accounts.everyone(session) if a.state == "active"]
    for email in active:
        company.sync(email)
    with company.services.db.session() as session:
        for name in ("sweep", "renew"):
            runs.tick(session, name, company.services.clock())
    return tell(company.services)


def revoke(company: Company, *emails: str) -> None:
    for email in emails:
        company.google.revoke_user(email)
        assert refresh_one(company.services, company.account(email).id)


def lapse(company: Company, *emails: str) -> None:
    """Google ends the permissions with a word that tells that no employee has taken them back."""
    for email in emails:
        refused = {"error": "invalid_rapt", "error_description": "reauth related error"}
        company.google.add_fault(match="POST /token", status=400, body=refused, count=1)
        assert refresh_one(company.services, company.account(email).id)


def todos(company: Company, email: str = ANN) -> list[dict[str, object]]:
    return [row for row in company.site.rows("ToDo") if row["allocated_to"] == email]


def test_nothing_is_said_while_all_is_well(shop: Company, postbox: Postbox) -> None:
    assert told(shop) == told(shop, minutes=30) == 0
    assert (postbox.mails, postbox.posts, todos(shop)) == ([], [], [])


def test_a_dead_grant_from_the_first_word_to_the_last(shop: Company, postbox: Postbox) -> None:
    """The employee gets a ToDo with the way back, the admins a mail and a post; again on day 2 and
    7; all of it ends when the employee has connected again."""
    lapse(shop, ANN)
    assert told(shop) == 0, "not in the first minute: others may fail alike"
    assert told(shop, seconds=61) == 3
    assert told(shop, seconds=61) == 0, "once"
    (todo,) = todos(shop)
    link = re.search(r'href="([^"]+)"', str(todo["description"]))
    assert link is not None
    assert link[1].startswith(f"{shop.public_url}/connect/")
    assert (todo["status"], todo["priority"]) == ("Open", "High")
    seen = re.sub(r"<[^>]*>", "\n", str(todo["description"])).split("\n")
    assert next(filter(None, seen)) == "Connect your Google Calendar to ERPNext again"
    assert not re.search(r"\d", "".join(seen)), "no number of Watcher's own"
    assert postbox.subjects() == [f"Watcher: {ANN}: needs reconnect (invalid_rapt)"]
    assert postbox.mails[0]["To"] == ADMIN
    assert f"watcher accounts invite {ANN}" in str(postbox.mails[0].get_payload())
    assert f"watcher accounts invite {ANN}" in postbox.posts[0]
    assert postbox.logins == [f"\0mailer\0{PASSWORD}"]

    shop.site.put("ToDo", todo | {"status": "Closed"})  # ticked off, but nothing was done
    assert told(shop, days=1) == 0
    assert told(shop, days=1) == 3
    (todo,) = todos(shop)
    assert todo["status"] == "Open"
    assert postbox.subjects()[-1].startswith("Watcher: still: ")
    assert told(shop, days=3) == 0
    assert told(shop, days=2) == 3
    assert told(shop, days=30) == 0, "and then no more"

    shop.consented(ANN)
    assert told(shop) == 3
    assert [row["status"] for row in todos(shop)] == ["Closed"]
    assert postbox.subjects()[-1] == f"Watcher: mended: {ANN}: needs reconnect (invalid_rapt)"
    assert told(shop, minutes=5) == 0
    with shop.services.db.session() as session:
        assert ledger.open_now(session) == []


def test_a_link_that_the_admin_has_sent_goes_on(shop: Company, postbox: Postbox) -> None:
    lapse(shop, ANN)
    link = shop.watcher("accounts", "invite", ANN).stdout.strip()
    told(shop)
    told(shop, minutes=2)
    assert link.rpartition("/")[2].split(".")[0] in str(todos(shop)[0]["description"])


def test_what_may_be_a_wish_is_told_to_the_admins_and_asks_nothing_of_the_employee(
    shop: Company, postbox: Postbox
) -> None:
    """Ann has removed Watcher in her Google account: Google says no more than ``invalid_grant``."""
    revoke(shop, ANN)
    told(shop)
    assert told(shop, minutes=2) == 2, "a mail and a post"
    assert told(shop, days=2) == 2
    assert todos(shop) == []
    for said in ("removed Watcher in the Google account", "Nobody is asked to connect again"):
        assert said in postbox.posts[0]
    assert f"watcher accounts invite {ANN}" in postbox.posts[0], "the way back, if it was none"
    shop.consented(ANN)
    assert told(shop) == 2
    assert postbox.subjects()[-1].startswith("Watcher: mended")


def test_the_seven_days_of_testing_are_nobodys_wish(shop: Company, postbox: Postbox) -> None:
    shop.later(days=7)
    revoke(shop, ANN)
    told(shop)
    told(shop, minutes=2)
    assert [row["status"] for row in todos(shop)] == ["Open"]


def test_a_todo_speaks_the_employees_language(shop: Company, postbox: Postbox) -> None:
    with shop.services.db.session() as session:
        accounts.get(session, ANN).language = "de"
    lapse(shop, ANN)
    told(shop)
    told(shop, minutes=2)
    text = str(todos(shop)[0]["description"])
    assert "nicht mit ERPNext verbunden: Google hat die Erlaubnis beendet" in text
    assert f'<a href="{shop.public_url}/connect/' in text


def test_admins_are_told_each_in_the_own_language(shop: Company, postbox: Postbox) -> None:
    """Of the user in ERPNext, also of an admin without an account; who is not known, in English."""
    shop.set("admin_emails", f"{ADMIN},elsa@example.com,maria@example.com")
    shop.rebuild()
    shop.site.put("User", {"name": "elsa@example.com", "enabled": 1, "language": "de-AT"})
    shop.site.put("User", {"name": "maria@example.com", "enabled": 1, "language": "es"})
    look_at_names(shop.services)
    lapse(shop, ANN)
    assert told(shop) == 0
    assert told(shop, seconds=61) == 3
    by_reader = {str(mail["To"]): mail for mail in postbox.mails}
    assert set(by_reader) == {ADMIN, "elsa@example.com", "maria@example.com"}
    assert by_reader[ADMIN]["Subject"] == f"Watcher: {ANN}: needs reconnect (invalid_rapt)"
    text = str(by_reader["elsa@example.com"].get_payload())
    assert f"Was zu tun ist: watcher accounts invite {ANN}" in text
    assert f"Kalender: {shop.public_url}/calendars?q=" in text
    assert "What to do" in postbox.posts[0], "not all of them read the same language"
    shop.consented(ANN)
    assert told(shop) == 3
    assert len(postbox.mails) == 6


def test_who_is_mirrored_by_delegation_is_told_once(shop: Company, postbox: Postbox) -> None:
    """What is copied, who sees it, whom to ask: by a ToDo, or by mail to who has no user there."""
    other = f"other@{DOMAIN}"
    shop.google.add_user(other)
    shop.add(other)
    with shop.services.db.session() as session:
        accounts.get(session, BOB).language = "es"
        assert accounts.get(session, other).erpnext_user is None
    shop.site.add_fault(match="POST /api/resource/ToDo", status=503, html=True, count=1)
    assert employees.inform(shop.services) == 0
    assert employees.inform(shop.services) == 2
    assert employees.inform(shop.services) == 0
    (todo,) = todos(shop, BOB)
    text = str(todo["description"])
    assert (todo["status"], todo["priority"]) == ("Open", "Low")
    assert "Tu Google Calendar se muestra en ERPNext" in text
    assert f'<a href="{shop.public_url}/me">' in text
    assert ADMIN in text
    (mail,) = postbox.mails
    said = mail.get_payload(decode=True).decode()  # type: ignore[union-attr]
    assert (mail["To"], mail["Subject"]) == (other, "Your Google Calendar is shown in ERPNext")
    for part in ("from 7 days ago to 30 days ahead", "everybody in your company", "/me"):
        assert part in said
    assert todos(shop, ANN) == [], "who has consented knows it"


def test_a_delegation_is_the_admins_matter(shop: Company, postbox: Postbox) -> None:
    shop.google.delegated_to = []
    assert refresh_one(shop.services, shop.account(BOB).id)
    told(shop)
    assert told(shop, minutes=2) == 2
    assert todos(shop, BOB) == []
    assert "watcher accounts resume" in postbox.posts[0]


@pytest.fixture
def crew(shop: Company) -> list[str]:
    for email in CREW:
        shop.google.add_user(email)
        shop.site.add_user(email)
        shop.consented(email)
    return CREW


def test_many_alike_are_one_notice_and_no_employee_is_bothered(
    shop: Company, postbox: Postbox, crew: list[str]
) -> None:
    revoke(shop, *crew)
    assert told(shop) == 0
    assert told(shop, minutes=2) == 2, "one mail and one post"
    assert [todos(shop, email) for email in crew] == [[]] * len(crew)
    assert postbox.subjects() == ["Watcher: 6 accounts: needs reconnect (invalid_grant)"]
    assert all(email in postbox.posts[0] for email in crew)
    for email in crew[1:]:
        shop.consented(email)
    assert told(shop, minutes=2) == 0, "one is still out"
    shop.consented(crew[0])
    assert told(shop, minutes=2) == 2
    assert "mended" in postbox.subjects()[-1]
    assert told(shop, days=8) == 0


def test_who_was_told_before_the_common_cause_showed_is_relieved(
    shop: Company, postbox: Postbox, crew: list[str]
) -> None:
    lapse(shop, *crew[:4])
    told(shop)
    assert told(shop, minutes=2) == 4 * 3
    lapse(shop, *crew[4:])
    told(shop, minutes=2)
    assert [row["status"] for email in crew for row in todos(shop, email)] == ["Closed"] * 4
    assert postbox.subjects()[-1].startswith("Watcher: 6 accounts")


def test_a_refused_program_is_one_notice(shop: Company, postbox: Postbox, crew: list[str]) -> None:
    """``deleted_client`` ends no account: it is told once, and nobody has to consent again."""
    shop.google.add_fault(match="POST /token", status=401, body={"error": "deleted_client"})
    shop.google.expire_access_tokens()
    for email in crew:
        assert shop.sync(email) == "failed"
    assert told(shop) == 0
    assert told(shop, minutes=2) == 2
    assert postbox.subjects() == ["Watcher: failing (deleted_client)"]
    assert "8 calendars" in postbox.posts[0]
    assert "What to do: look at the OAuth client" in postbox.posts[0]
    assert shop.account(crew[0]).state == "active"
    assert [row for email in crew for row in todos(shop, email)] == []


def test_a_suspended_project_is_one_notice(
    shop: Company, postbox: Postbox, crew: list[str]
) -> None:
    """Google's first reason is ``forbidden``, as of a calendar that is not shared any more."""
    entry = {"domain": "global", "reason": "forbidden", "message": "No."}
    details = [{"reason": "CONSUMER_SUSPENDED", "metadata": {}}]
    answer = {"error": {"code": 403, "message": "No.", "errors": [entry], "details": details}}
    shop.google.add_fault(match="/calendars/", status=403, body=answer)
    for email in crew[:2]:
        assert shop.sync(email) == "failed"
    told(shop)
    told(shop, minutes=2)
    assert postbox.subjects() == ["Watcher: failing (project_suspended)"]
    assert "What to do: look at the Cloud project" in postbox.posts[0]


def test_never_through_what_is_broken(shop: Company, postbox: Postbox) -> None:
    """ERPNext is away: admins are told by mail and post alone; the employee, when it is back."""
    lapse(shop, ANN)
    shop.google.insert_event(BOB, shop.timed(summary="Tasting"))
    shop.site.add_fault(match=".*", status=503, html=True, count=1000)
    assert shop.sync(BOB, snapshot=True) == "failed"
    told(shop)
    assert told(shop, minutes=16) >= 4
    assert todos(shop) == []
    assert any("erpnext_unavailable" in subject for subject in postbox.subjects())
    shop.site.clear_faults()
    assert shop.sync(BOB) == "done"
    told(shop)
    assert [row["status"] for row in todos(shop)] == ["Open"]


def test_an_outage_that_passes_is_nobodys_business(shop: Company, postbox: Postbox) -> None:
    shop.google.add_fault(match="/events", status=503, count=20)
    assert shop.sync(BOB) == "failed"
    told(shop)
    shop.google.clear_faults()
    assert shop.sync(BOB) == "done"
    assert told(shop, minutes=20) == 0


def test_a_mail_server_that_fails_is_tried_again_and_shown(shop: Company, postbox: Postbox) -> None:
    postbox.refuse = True
    lapse(shop, ANN)
    told(shop)
    assert told(shop, minutes=2) == 1, "the ToDo went out all the same"
    assert told(shop, minutes=31) == 0
    with shop.services.db.session() as session:
        found = ledger.undelivered(session, shop.services.clock())
        lanes = shop.services.doorbell.lengths()
        now = shop.services.clock()
        shown = overview.status(shop.services.db, session, now, lanes).as_json()["problems"]
    assert "notices_undelivered" in [problem["state"] for problem in shown]
    assert found
    assert PASSWORD not in repr(found)
    assert HOOK_SECRET not in repr(found)
    postbox.refuse = False
    told(shop, minutes=1)
    assert f"Watcher: {ANN}: needs reconnect (invalid_rapt)" in postbox.subjects()
    assert todos(shop)[0]["status"] == "Open"
    assert len(todos(shop)) == 1


def test_a_password_that_no_mail_server_can_be_told_stops_no_other_notice(
    shop: Company, postbox: Postbox
) -> None:
    """smtplib raises UnicodeEncodeError for it, which is neither of its own errors nor OSError."""
    box = Mailbox(
        "127.0.0.1", int(postbox.smtp_url.rpartition(":")[2]), "user", "geheimnis-ä", False
    )
    with pytest.raises(Transient, match="cannot be told") as caught:
        send_mail(box, MAIL)
    assert "geheimnis" not in repr(caught.value)


def test_a_mail_server_with_a_bad_certificate_is_said_to_be_that(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The error of a bad certificate is a ValueError too: the password is not to blame."""

    def dial(_box: Mailbox) -> None:
        raise ssl.SSLCertVerificationError("self-signed certificate")

    monkeypatch.setattr("watcher.notices.media._dial", dial)
    box = Mailbox("mail.example", 465, "user", "secret", True)
    with pytest.raises(Transient, match=r"could not be reached \(its certificate is not trusted\)"):
        send_mail(box, MAIL)


def test_a_lost_answer_makes_no_second_todo(shop: Company, postbox: Postbox) -> None:
    lapse(shop, ANN)
    shop.site.add_fault(match="POST /api/resource/ToDo", drop=True, after_commit=True, count=1)
    told(shop)
    told(shop, minutes=2)
    told(shop, minutes=1)
    assert len(todos(shop)) == 1


def test_the_seven_days_of_testing_are_recognised(shop: Company, postbox: Postbox) -> None:
    """An OAuth app in Testing: Google ends the grant seven days after the consent."""
    shop.later(days=7)
    revoke(shop, ANN)
    told(shop)
    told(shop, minutes=2)
    assert any("in Testing" in post for post in postbox.posts)
    with shop.services.db.session() as session:
        accounts.get(session, ANN).granted_at = shop.services.clock() - timedelta(days=20)
    problem = json.loads(shop.watcher("status", "--json").stdout)["problems"][0]
    assert problem["cause"] == "invalid_grant"
    assert "Testing" not in problem["message"]


def test_two_tellers_tell_once(shop: Company, postbox: Postbox) -> None:
    lapse(shop, ANN)
    told(shop)
    shop.later(minutes=2)
    other = build(shop.settings)
    object.__setattr__(other, "clock", shop.services.clock)
    with other.db.session() as session:
        assert leases.take(other.db, session, "tell", other.owner, 60)
    assert tell(shop.services) == 0
    with other.db.session() as session:
        leases.drop(session, "tell", other.owner)
    assert tell(shop.services) == 3
    other.db.dispose()


def test_the_command(shop: Company, postbox: Postbox) -> None:
    done = shop.watcher("notify", "test", "--json")
    assert (done.returncode, [r["outcome"] for r in json.loads(done.stdout)]) == (0, ["sent"] * 2)
    assert shop.watcher("notify", "test", "--todo", ANN).returncode == 0
    stranger = shop.watcher("notify", "test", "--todo", "nobody@scoopjoy.test")
    assert "ERPNext has no enabled user nobody@scoopjoy.test" in stranger.stderr
    assert len(todos(shop)) == 1
    postbox.refuse = True
    failed = shop.watcher("notify", "test")
    assert failed.returncode == 6
    assert "the mail server answered 451" in failed.stderr
    assert "the webhook answered 503" in failed.stderr
    assert not {PASSWORD, HOOK_SECRET} & set(re.split(r"[\s\"']", failed.stderr))
    shop.set("smtp_url", "")
    shop.set("notify_webhook_url", "")
    nobody = shop.watcher("notify", "test")
    assert nobody.returncode == 2
    assert "WATCHER_NOTIFY_WEBHOOK_URL" in nobody.stderr
    assert shop.watcher("notify", "list").returncode == 0


def test_settings_that_cannot_work_are_named(company: Company) -> None:
    company.set("smtp_url", "mail.example.com")
    company.set("notify_webhook_url", "ftp://example.com/x")
    done = company.watcher("config", "validate")
    assert done.returncode == 2
    assert "WATCHER_SMTP_URL: must be an address that begins with smtp://" in done.stderr
    assert "WATCHER_NOTIFY_WEBHOOK_URL: must be" in done.stderr
    company.set("smtp_url", "smtp://127.0.0.1")
    company.set("notify_webhook_url", "")
    company.set("admin_emails", "")
    assert "names nobody to write to" in company.watcher("config", "validate").stderr
