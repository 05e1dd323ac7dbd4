"""A title that Watcher itself writes into ERPNext: short, one line, and stored as it is given."""

from __future__ import annotations

import unicodedata
from typing import Annotated

from pydantic import AfterValidator

from watcher.errors import sentence

MOST = 60
"""Characters: more than the calendar of ERPNext shows of a title."""
CHANGED = "<>&\"'{}[]"


def checked(value: str) -> str:
    """The title. Raises ``ValueError`` for one that nobody could read, that is no line, or that
    would be another in ERPNext, where it would not be known again."""
    title = value.strip()
    if len(title) > MOST:
        raise ValueError(sentence("must have at most %(most)s characters", most=MOST))
    if any(unicodedata.category(each) in ("Cc", "Cf", "Cs", "Zl", "Zp") for each in title):
        raise ValueError(sentence("must be one line, without control characters"))
    if not any(each.isalnum() for each in title):
        raise ValueError(sentence("must have a letter or a digit"))
    if any(each in CHANGED for each in title):
        signs = " ".join(CHANGED)
        raise ValueError(
            sentence("must not have any of %(signs)s, which ERPNext may change", signs=signs)
        )
    return title


Title = Annotated[str, AfterValidator(checked)]
