"""From the facts of one event to the answer. Pure."""

from __future__ import annotations

from watcher.explain import gathered, words
from watcher.explain.answers import Answer
from watcher.explain.sentences import facts_in_words
from watcher.explain.verdict import judge


def answer_of(facts: gathered.Facts, clock: words.Clock) -> Answer:
    event, row = facts.event, facts.row
    judged, name = judge(facts, clock), words.Name()
    if event is not None and not event.is_cancelled:
        name = words.name_of(event, facts.basis.rules, clock)
    silent = [s for s in (facts.google, facts.erpnext) if isinstance(s, gathered.Silence)]
    steps = [judged.step, *(each.step for each in silent)]
    whose = words.calendar_of(facts)
    what = name.text or f"event {facts.event_id}"
    return Answer(
        verdict=judged.verdict,
        headline=judged.text,
        what=", ".join(filter(None, (what, name.span, whose))),
        said=tuple(facts_in_words(facts, clock)),
        steps=tuple(dict.fromkeys(step for step in steps if step)),
        account=facts.calendar.account.email,
        calendar=facts.calendar.google_id,
        event=facts.event_id,
        erpnext=row.name if row is not None else None,
        title=name.title,
        day=name.day,
        private=name.private,
    )
