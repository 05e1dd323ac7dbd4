"""What of a text nobody can be told in another language: words that stand in no catalog."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator

from tests import catalogs
from watcher.explain.answers import Report
from watcher.languages.moments import Moment
from watcher.languages.sentence import Given, Sentence

DATA = re.compile(
    r"[\w.+-]+@[\w.-]+|https?://\S+|\bUTC\b|\bERPNext\b|\bGoogle\b|\bWatcher\b|`[^`]*`"
    r"|watcher(?: [a-z]+){1,2}|\w*_\w+|\w*\d\w*|\b\w+Error\b|\bnotFound\b|\b[a-z]+\.[a-z_.]+"
)
"""What is the same in every language: addresses, names, commands, ids, and what has a figure."""
_PLACE = re.compile(r"%\(\w+\)s")


@functools.cache
def _known() -> frozenset[str]:
    return frozenset(text for message in catalogs.in_code() for text in catalogs.ids(message))


def words_in(text: str) -> Iterator[str]:
    return iter(re.findall(r"[^\W\d_]{2,}", DATA.sub(" ", text)))


def unsayable(text: str) -> set[str]:
    """Words of Watcher's that no catalog has. Moments and what others wrote stay as they are."""
    if isinstance(text, Given | Moment) or text in _known():
        return set()
    if not isinstance(text, Sentence):
        return set(words_in(text))
    known = {text.template, text.plural} - {""} <= _known()
    own = set() if known else set(words_in(_PLACE.sub(" ", text.template)))
    inner = (unsayable(value) for value in text.values.values() if isinstance(value, str))
    return own.union(*inner)


def unsayable_of(report: Report) -> set[str]:
    """The same of all that an explanation tells."""
    texts = [report.sentence, *report.searched, *report.steps]
    texts += [said.text for said in report.unheard]
    for answer in report.answers:
        texts += [answer.what, answer.headline, *answer.steps]
        texts += [said.text for said in answer.said]
    return {word for text in texts for word in unsayable(text)}
