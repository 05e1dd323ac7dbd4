"""What became of each of many people, for an hour, for the admin who asked for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flask import redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from watcher.accounts.rounds import Answer
from watcher.handlers import sealed
from watcher.languages.sentence import kept, read_text

PURPOSE = "outcomes"


@dataclass(frozen=True, slots=True)
class Again:
    """The form that goes on with those ``many`` whose turn has not come."""

    action: str
    fields: Sequence[tuple[str, str]]
    many: int


def to_page(answers: Sequence[Answer], back: str, again: Again) -> ResponseReturnValue:
    """To the page that tells them. Links that were made are secrets: the address has none."""
    told = [[each.email, kept(each.text), each.code, each.link] for each in answers]
    word = sealed.keep_for_an_hour(PURPOSE, [told, back, again.action, again.fields, again.many])
    return redirect(url_for("employees.done", word=word), 303)


def page(word: str) -> ResponseReturnValue | None:
    """None when it is not kept any more, or was somebody else's."""
    found = sealed.opened(PURPOSE, word)
    if found is None:
        return None
    told, back, *again = found
    answers = [Answer(email, read_text(text), code, link) for email, text, code, link in told]
    return render_template(
        "act_done.html",
        answers=answers,
        done=sum(answer.code == 0 for answer in answers),
        links=any(answer.link for answer in answers),
        again=Again(*again),
        back=back,
    )
