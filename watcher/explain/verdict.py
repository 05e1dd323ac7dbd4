"""How one event stands, in a word and a sentence: what was decided, held against what ERPNext has.
Pure."""

from __future__ import annotations

from watcher.events import model
from watcher.explain import gathered, waiting_for, words
from watcher.explain.answers import Verdict


def judge(facts: gathered.Facts, clock: words.Clock) -> waiting_for.Wait:
    """The first of these that applies says how it stands."""
    for look in (
        _let_go,
        _set_aside,
        _google_silent,
        _hidden,
        _unknown,
        _cancelled,
        _unmappable,
        _left_out,
        _erpnext_silent,
        _series,
    ):
        found = look(facts, clock)
        if found is not None:
            return found
    return _by_action(facts, clock)


def _let_go(facts: gathered.Facts, clock: words.Clock) -> waiting_for.Wait | None:
    """What the row holds says nothing where nobody keeps it current."""
    if not facts.calendar.removed:
        return None
    wait = waiting_for.of_calendar(facts, clock)
    return wait and waiting_for.Wait(
        wait.verdict, words.joined(" ", wait.text, _standing(facts)), wait.step
    )


def _set_aside(facts: gathered.Facts, clock: words.Clock) -> waiting_for.Wait | None:
    aside = facts.aside
    if aside is None:
        return None
    text = words.joined(
        " ",
        _refused(aside.kind, words.unended(aside.message)),
        waiting_for.again(aside.next_try_at, clock),
    )
    return waiting_for.Wait(Verdict.SET_ASIDE, text, aside.step)


def _refused(kind: str, why: str) -> str:
    match kind:
        case "masking":
            return words.sentence(
                "ERPNext has refused to mask it, and what became private is still readable there: "
                "%(why)s.",
                why=why,
            )
        case "cancellation":
            return words.sentence(
                "ERPNext has refused to cancel it, so that it still stands there: %(why)s.", why=why
            )
        case "unmappable":
            return words.sentence("ERPNext cannot hold it: %(why)s.", why=why)
    return words.sentence("ERPNext has refused it: %(why)s.", why=why)


def _google_silent(facts: gathered.Facts, clock: words.Clock) -> waiting_for.Wait | None:
    google = facts.google
    if isinstance(google, gathered.AtGoogle):
        return None
    trouble = waiting_for.of_account(facts, clock)
    if trouble is not None:
        verdict, text, step = trouble.verdict, trouble.text, trouble.step
    elif google.is_outage:
        verdict, step = Verdict.UNKNOWN, google.step
        text = words.sentence(
            "How it should stand in ERPNext is not known, since Google did not answer: %(why)s.",
            why=google.message,
        )
    else:
        verdict, step = Verdict.UNKNOWN, google.step
        text = words.sentence(
            "How it should stand in ERPNext is not known, since Google gave no answer: %(why)s.",
            why=google.message,
        )
    return waiting_for.Wait(verdict, words.joined(" ", text, _standing(facts)), step)


def _standing(facts: gathered.Facts) -> str:
    row = facts.row
    if row is None:
        return ""
    return words.sentence(
        "%(row)s stands in ERPNext, status %(status)s.",
        row=row.name,
        status=words.status_of(row),
    )


def _hidden(facts: gathered.Facts, clock: words.Clock) -> waiting_for.Wait | None:
    google = facts.google
    if not isinstance(google, gathered.AtGoogle) or not google.hides_calendar:
        return None
    known = waiting_for.of_calendar(facts, clock)
    text = words.sentence(
        "Google does not show this calendar to the employee, so nothing of it is mirrored."
    )
    step = words.sentence(
        "share the calendar with %(email)s again in Google", email=facts.calendar.account.email
    )
    return waiting_for.Wait(Verdict.BLOCKED, text, (known and known.step) or step)


def _unknown(facts: gathered.Facts, clock: words.Clock) -> waiting_for.Wait | None:
    google = facts.google
    if not isinstance(google, gathered.AtGoogle) or google.event is not None or google.unreadable:
        return None
    return _gone(words.sentence("Google does not have it (any more)."), facts, clock)


def _cancelled(facts: gathered.Facts, clock: words.Clock) -> waiting_for.Wait | None:
    event = facts.event
    if event is None or not event.is_cancelled:
        return None
    if event.recurring_event_id is not None:
        what = words.sentence("This instance of the series is cancelled in Google.")
    else:
        what = words.sentence("It is deleted in Google.")
    return _gone(what, facts, clock)


def _gone(what: str, facts: gathered.Facts, clock: words.Clock) -> waiting_for.Wait:
    row = facts.row
    live = [each for each in _rows(facts) if not each.is_cancelled]
    if isinstance(facts.erpnext, gathered.Silence):
        there = words.sentence("Whether ERPNext still has it is not known.")
    elif live and any(not isinstance(a, model.Keep) for a in facts.decided.actions or ()):
        wait = waiting_for.wait_of(facts, clock)
        there = words.sentence("%(row)s still stands in ERPNext.", row=live[0].name)
        text = words.joined(" ", what, there, wait.text)
        return waiting_for.Wait(wait.verdict, text, wait.step)
    elif live:
        there = words.sentence("%(row)s stays in ERPNext, as all that is past.", row=live[0].name)
    elif row is not None:
        there = words.sentence("%(row)s is Cancelled in ERPNext.", row=row.name)
    else:
        there = words.sentence("ERPNext has no row of it.")
    return waiting_for.Wait(Verdict.GONE, words.joined(" ", what, there))


def _rows(facts: gathered.Facts) -> list[model.Row]:
    if not isinstance(facts.erpnext, gathered.InErpnext):
        return []
    rows = (facts.erpnext.row, *facts.erpnext.of_series)
    return [row for row in rows if row is not None]


def _unmappable(facts: gathered.Facts, clock: words.Clock) -> waiting_for.Wait | None:
    problem = facts.decided.unmappable
    if not problem:
        return None
    step = words.sentence("change it in Google")
    return waiting_for.Wait(Verdict.SET_ASIDE, _refused("unmappable", words.unended(problem)), step)


def _left_out(facts: gathered.Facts, clock: words.Clock) -> waiting_for.Wait | None:
    mapped, action, row = facts.decided.mapped, facts.decided.action, facts.row
    if facts.event is not None and facts.event.is_master and not _is_skipped_series(facts):
        return None
    if not isinstance(mapped, model.Skipped) and not facts.decided.outside:
        return None
    reason = mapped.reason if isinstance(mapped, model.Skipped) else "outside_window"
    why = words.left_out(facts, reason, clock)
    if isinstance(action, model.Keep) and action.reason == "aged_out" and row is not None:
        text = words.sentence(
            "%(row)s stays in ERPNext as history: %(why)s.", row=row.name, why=why
        )
        return waiting_for.Wait(Verdict.IN_ERPNEXT, text)
    if action is not None and not isinstance(action, model.Keep) and row is not None:
        wait = waiting_for.wait_of(facts, clock)
        text = words.sentence(
            "It is not to be in ERPNext (%(why)s), and %(row)s still stands there.",
            row=row.name,
            why=why,
        )
        return waiting_for.Wait(wait.verdict, words.joined(" ", text, wait.text), wait.step)
    text = words.sentence("It is not in ERPNext, and is not meant to be: %(why)s.", why=why)
    there = words.sentence("%(row)s is Cancelled.", row=row.name) if row is not None else ""
    return waiting_for.Wait(Verdict.LEFT_OUT, words.joined(" ", text, there))


def _is_skipped_series(facts: gathered.Facts) -> bool:
    return isinstance(facts.decided.mapped, model.Skipped) and not _rows(facts)


def _erpnext_silent(facts: gathered.Facts, clock: words.Clock) -> waiting_for.Wait | None:
    erpnext = facts.erpnext
    if not isinstance(erpnext, gathered.Silence):
        return None
    text = words.sentence(
        "By its rules Watcher mirrors it; whether ERPNext holds it is not known, since ERPNext "
        "did not answer (%(why)s).",
        why=erpnext.message,
    )
    return waiting_for.Wait(Verdict.UNKNOWN, text, erpnext.step)


def _series(facts: gathered.Facts, clock: words.Clock) -> waiting_for.Wait | None:
    if facts.event is None or not facts.event.is_master:
        return None
    actions = facts.decided.actions or ()
    owed = sum(not isinstance(each, model.Keep) for each in actions)
    there = sum(
        isinstance(a, model.Keep) and a.reason in ("unchanged", "aged_out") for a in actions
    )
    counts = words.counted(
        "It is a series; of its instances in the window %(n)s is in ERPNext as in Google.",
        "It is a series; of its instances in the window %(n)s are in ERPNext as in Google.",
        there,
    )
    if facts.series_aside:
        return _refused_instances(facts, counts)
    if owed:
        wait = waiting_for.wait_of(facts, clock)
        waits = words.counted(
            "%(n)s is still to be written.", "%(n)s are still to be written.", owed
        )
        return waiting_for.Wait(wait.verdict, words.joined(" ", counts, waits, wait.text))
    if not there:
        text = words.sentence("It is a series without an instance in the mirrored window.")
        return waiting_for.Wait(Verdict.LEFT_OUT, text)
    left = len(actions) - there
    more = (
        words.counted("%(n)s is left out by the rules.", "%(n)s are left out by the rules.", left)
        if left
        else ""
    )
    return waiting_for.Wait(Verdict.IN_ERPNEXT, words.joined(" ", counts, more))


def _refused_instances(facts: gathered.Facts, counts: str) -> waiting_for.Wait:
    aside = facts.series_aside
    refused = words.counted(
        "%(n)s was refused: %(why)s.",
        "%(n)s were refused: %(why)s.",
        len(aside),
        why=words.unended(aside[0].message),
    )
    return waiting_for.Wait(Verdict.SET_ASIDE, words.joined(" ", counts, refused), aside[0].step)


def _by_action(facts: gathered.Facts, clock: words.Clock) -> waiting_for.Wait:
    action, row = facts.decided.action, facts.row
    if isinstance(action, model.Keep) and row is not None:
        return waiting_for.Wait(Verdict.IN_ERPNEXT, _as_it_should_be(facts, row))
    wait = waiting_for.wait_of(facts, clock)
    if isinstance(action, model.Create) or row is None:
        owed: str = words.sentence("It is not in ERPNext yet.")
    else:
        owed = _owed(facts, row)
    return waiting_for.Wait(wait.verdict, words.joined(" ", owed, wait.text), wait.step)


def _as_it_should_be(facts: gathered.Facts, row: model.Row) -> str:
    mapped = facts.decided.mapped
    if isinstance(mapped, model.ErpEvent) and mapped.masked:
        text = words.sentence(
            'It is in ERPNext as %(row)s, as "%(title)s", since it is private in Google.',
            row=row.name,
            title=words.Given(mapped.subject),
        )
    elif isinstance(mapped, model.ErpEvent) and mapped.event_type == "Private":
        text = words.sentence(
            "It is in ERPNext as %(row)s, as it stands in Google, of the type Private: readable "
            "for the employee alone.",
            row=row.name,
        )
    else:
        text = words.sentence("It is in ERPNext as %(row)s, as it stands in Google.", row=row.name)
    if row.status not in ("Closed", "Completed"):
        return text
    status = words.sentence("Its status is %(status)s.", status=words.status_of(row))
    return words.joined(" ", text, status)


def _owed(facts: gathered.Facts, row: model.Row) -> str:
    """What is to be written of a row that is there."""
    match facts.decided.action:
        case model.Update(revive=True):
            return words.sentence(
                "%(row)s is Cancelled in ERPNext, and is to be opened again.", row=row.name
            )
        case model.Update(hides=True):
            return words.sentence(
                "%(row)s is still readable in ERPNext although the event is private.", row=row.name
            )
        case model.Update(reopen=True):
            return words.sentence(
                "%(row)s is Closed in ERPNext, and is to be opened again.", row=row.name
            )
        case model.Cancel():
            return words.sentence(
                "%(row)s still stands in ERPNext, and is to be cancelled.", row=row.name
            )
        case model.Rewrite():
            return words.sentence("%(row)s is to be written anew in ERPNext.", row=row.name)
    if not facts.decided.differs:
        return words.sentence(
            "%(row)s is in ERPNext, but not as the event stands in Google.", row=row.name
        )
    return words.sentence(
        "%(row)s is in ERPNext, but not as the event stands in Google (%(what)s).",
        row=row.name,
        what=facts.decided.differs,
    )
