"""How one event stands, in a word and a sentence: what was decided, held against what ERPNext has.
Pure."""

from __future__ import annotations

from watcher.events import model
from watcher.explain import gathered, waiting_for, words
from watcher.explain.answers import Verdict

REFUSED = {
    "masking": "ERPNext has refused to mask it, and what became private is still readable there",
    "cancellation": "ERPNext has refused to cancel it, so that it still stands there",
    "unmappable": "ERPNext cannot hold it",
    "event": "ERPNext has refused it",
}


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
        wait.verdict, f"{wait.text} {_standing(facts)}".strip(), wait.step
    )


def _set_aside(facts: gathered.Facts, clock: words.Clock) -> waiting_for.Wait | None:
    aside = facts.aside
    if aside is None:
        return None
    text = f"{REFUSED.get(aside.kind, REFUSED['event'])}: {aside.message.rstrip('.')}."
    again = f" It is tried again at {clock.at(aside.next_try_at)}." if aside.next_try_at else ""
    return waiting_for.Wait(Verdict.SET_ASIDE, text + again, aside.step)


def _google_silent(facts: gathered.Facts, clock: words.Clock) -> waiting_for.Wait | None:
    if isinstance(facts.google, gathered.AtGoogle):
        return None
    row = _standing(facts)
    trouble = waiting_for.of_account(facts, clock)
    if trouble is not None:
        return waiting_for.Wait(trouble.verdict, f"{trouble.text} {row}".strip(), trouble.step)
    away = "did not answer" if facts.google.is_outage else "gave no answer"
    text = (
        f"How it should stand in ERPNext is not known, since Google {away}: "
        f"{facts.google.message}. {row}"
    ).strip()
    return waiting_for.Wait(Verdict.UNKNOWN, text, facts.google.step)


def _standing(facts: gathered.Facts) -> str:
    row = facts.row
    return f"{row.name} stands in ERPNext, status {row.status}." if row is not None else ""


def _hidden(facts: gathered.Facts, clock: words.Clock) -> waiting_for.Wait | None:
    google = facts.google
    if not isinstance(google, gathered.AtGoogle) or not google.hides_calendar:
        return None
    step = f"share the calendar with {facts.calendar.account.email} again in Google"
    known = waiting_for.of_calendar(facts, clock)
    text = "Google does not show this calendar to the employee, so nothing of it is mirrored."
    return waiting_for.Wait(Verdict.BLOCKED, text, (known and known.step) or step)


def _unknown(facts: gathered.Facts, clock: words.Clock) -> waiting_for.Wait | None:
    google = facts.google
    if not isinstance(google, gathered.AtGoogle) or google.event is not None or google.unreadable:
        return None
    return _gone("Google does not have it (any more)", facts, clock)


def _cancelled(facts: gathered.Facts, clock: words.Clock) -> waiting_for.Wait | None:
    event = facts.event
    if event is None or not event.is_cancelled:
        return None
    is_instance = event.recurring_event_id is not None
    what = (
        "This instance of the series is cancelled in Google"
        if is_instance
        else ("It is deleted in Google")
    )
    return _gone(what, facts, clock)


def _gone(what: str, facts: gathered.Facts, clock: words.Clock) -> waiting_for.Wait:
    if isinstance(facts.erpnext, gathered.Silence):
        return waiting_for.Wait(Verdict.GONE, f"{what}. Whether ERPNext still has it is not known.")
    live = [row for row in _rows(facts) if not row.is_cancelled]
    if live and any(not isinstance(a, model.Keep) for a in facts.decided.actions or ()):
        wait = waiting_for.wait_of(facts, clock)
        text = f"{what}, and {live[0].name} still stands in ERPNext. {wait.text}"
        return waiting_for.Wait(wait.verdict, text, wait.step)
    if live:
        return waiting_for.Wait(
            Verdict.GONE, f"{what}; {live[0].name} stays in ERPNext, as all that is past."
        )
    row = facts.row
    there = f", and {row.name} is Cancelled in ERPNext" if row else ", and ERPNext has no row of it"
    return waiting_for.Wait(Verdict.GONE, f"{what}{there}.")


def _rows(facts: gathered.Facts) -> list[model.Row]:
    if not isinstance(facts.erpnext, gathered.InErpnext):
        return []
    rows = (facts.erpnext.row, *facts.erpnext.of_series)
    return [row for row in rows if row is not None]


def _unmappable(facts: gathered.Facts, clock: words.Clock) -> waiting_for.Wait | None:
    problem = facts.decided.unmappable
    if not problem:
        return None
    return waiting_for.Wait(
        Verdict.SET_ASIDE, f"ERPNext cannot hold it: {problem}.", "change it in Google"
    )


def _left_out(facts: gathered.Facts, clock: words.Clock) -> waiting_for.Wait | None:
    mapped, action, row = facts.decided.mapped, facts.decided.action, facts.row
    if facts.event is not None and facts.event.is_master and not _is_skipped_series(facts):
        return None
    if not isinstance(mapped, model.Skipped) and not facts.decided.outside:
        return None
    reason = mapped.reason if isinstance(mapped, model.Skipped) else "outside_window"
    why = words.left_out(facts, reason, clock)
    if isinstance(action, model.Keep) and action.reason == "aged_out" and row is not None:
        return waiting_for.Wait(
            Verdict.IN_ERPNEXT, f"{row.name} stays in ERPNext as history: {why}."
        )
    if action is not None and not isinstance(action, model.Keep) and row is not None:
        wait = waiting_for.wait_of(facts, clock)
        text = f"It is not to be in ERPNext ({why}), and {row.name} still stands there. {wait.text}"
        return waiting_for.Wait(wait.verdict, text, wait.step)
    there = f" {row.name} is Cancelled." if row is not None else ""
    return waiting_for.Wait(
        Verdict.LEFT_OUT, f"It is not in ERPNext, and is not meant to be: {why}.{there}"
    )


def _is_skipped_series(facts: gathered.Facts) -> bool:
    return isinstance(facts.decided.mapped, model.Skipped) and not _rows(facts)


def _erpnext_silent(facts: gathered.Facts, clock: words.Clock) -> waiting_for.Wait | None:
    erpnext = facts.erpnext
    if not isinstance(erpnext, gathered.Silence):
        return None
    text = (
        "By its rules Watcher mirrors it; whether ERPNext holds it is not known, since ERPNext "
        f"did not answer ({erpnext.message})."
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
    counts = f"It is a series; of its instances in the window {there} are in ERPNext as in Google"
    aside = facts.series_aside
    if aside:
        text = f"{counts}, and {len(aside)} were refused: {aside[0].message.rstrip('.')}."
        return waiting_for.Wait(Verdict.SET_ASIDE, text, aside[0].step)
    if owed:
        wait = waiting_for.wait_of(facts, clock)
        return waiting_for.Wait(
            wait.verdict, f"{counts}, and {owed} are still to be written. {wait.text}"
        )
    if not there:
        return waiting_for.Wait(
            Verdict.LEFT_OUT, "It is a series without an instance in the mirrored window."
        )
    left = len(actions) - there
    more = f", and {left} are left out by the rules" if left else ""
    return waiting_for.Wait(Verdict.IN_ERPNEXT, f"{counts}{more}.")


def _by_action(facts: gathered.Facts, clock: words.Clock) -> waiting_for.Wait:
    action, row = facts.decided.action, facts.row
    if isinstance(action, model.Keep) and row is not None:
        return waiting_for.Wait(Verdict.IN_ERPNEXT, _as_it_should_be(facts, row))
    wait = waiting_for.wait_of(facts, clock)
    if isinstance(action, model.Create) or row is None:
        return waiting_for.Wait(wait.verdict, f"It is not in ERPNext yet. {wait.text}", wait.step)
    return waiting_for.Wait(wait.verdict, f"{_owed(facts, row)} {wait.text}", wait.step)


def _as_it_should_be(facts: gathered.Facts, row: model.Row) -> str:
    mapped = facts.decided.mapped
    if isinstance(mapped, model.ErpEvent) and mapped.masked:
        how = f'as "{mapped.subject}", since it is private in Google'
    elif isinstance(mapped, model.ErpEvent) and mapped.event_type == "Private":
        how = "as it stands in Google, of the type Private: readable for the employee alone"
    else:
        how = "as it stands in Google"
    status = f"; its status is {words.STATUSES[row.status]}" if row.status in words.STATUSES else ""
    return f"It is in ERPNext as {row.name}, {how}{status}."


def _owed(facts: gathered.Facts, row: model.Row) -> str:
    """What is to be written of a row that is there."""
    match facts.decided.action:
        case model.Update(revive=True):
            return f"{row.name} is Cancelled in ERPNext, and is to be opened again."
        case model.Update(hides=True):
            return f"{row.name} is still readable in ERPNext although the event is private."
        case model.Update(reopen=True):
            return f"{row.name} is Closed in ERPNext, and is to be opened again."
        case model.Cancel():
            return f"{row.name} still stands in ERPNext, and is to be cancelled."
        case model.Rewrite():
            return f"{row.name} is to be written anew in ERPNext."
    differs = f" ({facts.decided.differs})" if facts.decided.differs else ""
    return f"{row.name} is in ERPNext, but not as the event stands in Google{differs}."
