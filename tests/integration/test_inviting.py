"""Employees are invited: by mail, for a mail merge, one or many, and reminded."""

from __future__ import annotations

import csv
import stat
from pathlib import Path

import pytest

from tests.company import ADMIN, ANN, BOB, DOMAIN, Company
from tests.integration.test_cli_runner import run
from tests.postbox import Postbox
from watcher.accounts import lists
from watcher.accounts.users import look_at_names
from watcher.errors import UserError
from watcher.languages.seeing import Seen
from watcher.notices.invitation import Invitation, body, subject

pytestmark = pytest.mark.one_shape("sqlite")

NEW = f"new@{DOMAIN}"


def links(postbox: Postbox) -> dict[str, str]:
    """Address -> the link of the last mail to it."""
    found = {}
    for mail in postbox.mails:
        text = mail.get_payload(decode=True).decode()  # type: ignore[union-attr]
        found[mail["To"]] = next(word for word in text.split() if "/connect/" in word)
    return found


def test_a_mail_says_who_asks_what_is_read_who_sees_it_and_how_to_stop(
    company: Company, postbox: Postbox
) -> None:
    company.site.set_column("User", ANN, "full_name", "Ann Lee")
    done = run(company, "accounts", "invite", ANN, "--mail", says=(f"{ANN}: invited by mail",))
    assert done.out == "", "the link goes to the employee alone"
    (mail,) = postbox.mails
    text = mail.get_payload(decode=True).decode()  # type: ignore[union-attr]
    assert mail["To"] == ANN
    assert mail["Reply-To"] == ADMIN
    assert mail["Message-ID"].endswith("@127.0.0.1>")
    assert mail["Date"]
    for said in (
        "Hello Ann Lee,",
        f"{ADMIN} asks you",
        f"{company.public_url}/connect/",
        "from 7 days ago to 30 days ahead",
        "everybody in your company who works in ERPNext can see them",
        "appear as “Busy”",
        f"{company.public_url}/me",
        "myaccount.google.com/permissions",
    ):
        assert said in text
    assert "/connect/" not in done.says
    assert company.account().full_name == "Ann Lee"


def test_one_that_is_wrong_stops_no_other(company: Company, postbox: Postbox) -> None:
    company.connect(BOB)
    people = company.folder / "people.csv"
    people.write_text(f"email;erpnext_user\n{ANN};\nno address;\n{BOB};\n{NEW};nobody@else.test\n")
    asked = ("accounts", "invite", "--from-file", str(people), "--mail", "--json")
    done = run(company, *asked, code=3)
    assert [(one["email"], one["outcome"][:26], one["code"]) for one in done.data] == [
        (ANN, "invited by mail", 0),
        ("no address", "'no address' is not an e-m", 2),
        (BOB, "left as it is: connected a", 0),
        (NEW, "ERPNext has no enabled use", 2),
    ]
    again = run(company, *asked, code=3).data[0]["outcome"]
    assert "still works" in again, "a second run mails nobody twice"
    assert list(links(postbox)) == [ANN]


def test_a_refused_address_is_named_and_a_dead_server_is_not_asked_for_ever(
    company: Company, postbox: Postbox
) -> None:
    postbox.refuse = True
    many = [f"crew{number}@{DOMAIN}" for number in range(5)]
    done = run(company, "accounts", "invite", *many, "--mail", "--json", code=6)
    said = [one["outcome"] for one in done.data]
    assert all("the mail server" in text for text in said[:3])
    assert all(text.startswith("not tried") for text in said[3:])


def test_links_for_a_mail_merge_are_in_a_file_of_ones_own(company: Company) -> None:
    merge = company.folder / "links.csv"
    done = run(company, "accounts", "invite", ANN, BOB, "--csv", str(merge))
    assert "/connect/" not in done.out + done.says
    assert stat.S_IMODE(merge.stat().st_mode) == 0o600
    with merge.open(newline="") as table:
        rows = list(csv.DictReader(table))
    assert [row["email"] for row in rows] == [ANN, BOB]
    assert all(row["link"].startswith(f"{company.public_url}/connect/") for row in rows)
    run(company, "accounts", "invite", ANN, "--csv", str(merge), code=2, says=("already",))


def test_a_reminder_sends_the_same_link_to_those_who_have_not_connected(
    company: Company, postbox: Postbox
) -> None:
    run(company, "accounts", "invite", ANN, BOB, "--mail")
    first = links(postbox)
    company.consented(BOB)
    run(company, "accounts", "invite", "--remind", "--mail", says=("left as it is: mailed",))
    assert len(postbox.mails) == 2, "nobody is reminded within the hour"
    with company.services.db.session() as session:
        session.connection().exec_driver_sql("UPDATE invitations SET mailed_at = '2026-01-01'")
    run(company, "accounts", "invite", "--remind", "--mail", says=(f"{ANN}: reminded by mail",))
    assert len(postbox.mails) == 3
    assert links(postbox) == first
    assert postbox.mails[-1]["Subject"].startswith("Reminder")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "nobody to invite"),
        (("--from-file", "nowhere.csv"), "is not a file"),
        ((ANN, BOB, "--erpnext-user", ANN), "one address"),
        ((ANN, "--mail"), "no mail server is set"),
        ((ANN, "--mail", "--csv", "links.csv"), "one way"),
    ],
)
def test_what_cannot_be_done_is_said(company: Company, words: tuple[str, ...], says: str) -> None:
    run(company, "accounts", "invite", *words, code=2, says=(says,))


def test_lists_as_people_write_them(tmp_path: Path) -> None:
    pasted = f"Ann Lee <{ANN}>, {BOB};\n{ANN.upper()}\n  lee"
    assert [guest.email for guest in lists.once(lists.of_text(pasted))] == [ANN, BOB, "lee"]
    with pytest.raises(UserError, match="its first line has `Mail`, `Name`"):
        lists.of_csv(b"Mail,Name\nann@x.test,Ann\n", "people.csv")


@pytest.mark.both_shapes
def test_names_are_learnt_and_forgotten(company: Company) -> None:
    company.site.make_hr()  # in ERPNext Employees are for HR
    company.connect()
    company.site.set_column("User", ANN, "full_name", "Ann Lee")
    known = company.site.add_employee("Ann Leela", ANN) if company.site.erpnext else ""
    assert look_at_names(company.services) >= 1
    named = ("Ann Leela" if known else "Ann Lee", known)
    assert (company.account().full_name, company.account().employee) == named
    assert look_at_names(company.services) == 0
    run(company, "accounts", "disconnect", ANN, "--yes")
    assert (company.account().full_name, company.account().employee) == ("", "")


def test_every_choice_of_the_settings_has_its_words(company: Company) -> None:
    """And each sentence goes through the translation whole."""
    asked: list[str] = []

    def translate(text: str) -> str:
        asked.append(text)
        return text

    now = company.services.clock()
    for again, reminds in ((False, False), (True, False), (False, True)):
        for event_type, private in (("Public", "busy"), ("Private", "skip")):
            seen = Seen(
                event_type=event_type,
                private_events=private,
                declined_too=again,
                past_days=7,
                future_days=30,
            )
            of = Invitation(
                email=ANN,
                name="",
                asker="",
                link="LINK",
                ends_at=now,
                seen=seen,
                again=again,
                reminds=reminds,
            )
            assert "LINK" in body(of, company.settings, translate)
            assert subject(of, translate) in asked
    assert "LINK" not in repr(of)
    assert not [text for text in asked if "LINK" in text]
