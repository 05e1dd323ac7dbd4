"""From the facts of one event to the answer. Pure."""

from __future__ import annotations

from watcher.explain import answers, gathered, sentences, words
from watcher.explain.verdict import judge


def answer_of(facts: gathered.Facts, clock: words.Clock) -> answers.Answer:
    row, event = facts.row, facts.named
    judged, rules = judge(facts, clock), facts.basis.rules
    name = words.name_of(event, rules, clock) if event is not None else words.Name()
    silent = [s for s in (facts.google, facts.erpnext) if isinstance(s, gathered.Silence)]
    steps = [judged.step, *(each.step for each in silent)]
    whose = words.calendar_of(facts)
    what = name.text or words.sentence("event %(id)s", id=facts.event_id)
    return answers.Answer(
        verdict=judged.verdict,
        headline=judged.text,
        what=words.joined(", ", what, name.span, whose),
        said=tuple(sentences.facts_in_words(facts, clock)),
        steps=tuple(dict.fromkeys(step for step in steps if step)),
        account=facts.calendar.account.email,
        calendar=facts.calendar.google_id,
        event=facts.event_id,
        erpnext=row.name if row is not None else None,
        title=name.title,
        day=name.day,
        private=name.private,
    )


def calendar_answer(
    facts: gathered.Facts, silence: gathered.Silence, clock: words.Clock
) -> answers.Answer:
    """What the ledger knows of a calendar in which no event could be looked for."""
    return answers.Answer(
        verdict=answers.Verdict.UNKNOWN,
        headline=words.sentence(
            "Google gave no answer (%(why)s): no event can be looked for.", why=silence.message
        ),
        what=words.calendar_of(facts),
        said=tuple(answers.Said("ledger", text) for text in sentences.of_ledger(facts, clock)),
        steps=(silence.step,) if silence.step else (),
        account=facts.calendar.account.email,
        calendar=facts.calendar.google_id,
    )
