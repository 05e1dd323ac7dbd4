"""This machine's clock beside that of another one, by the Date of an answer over HTTP."""

from __future__ import annotations

from datetime import UTC, timedelta
from email.utils import parsedate_to_datetime

import requests

from watcher.doctor import say
from watcher.doctor.case import TIMEOUT, Case

NOTICEABLE, TOO_MUCH = timedelta(seconds=30), timedelta(minutes=5)
_DO = "timedatectl set-ntp true"


def beside(case: Case, whose: str, url: str) -> say.Finding:
    """Google refuses a request for a token that is dated wrong by minutes."""
    try:
        answer = requests.head(url, timeout=TIMEOUT, allow_redirects=False)
    except (requests.RequestException, OSError) as error:
        return say.away(
            say.sentence(
                "%(whose)s cannot be reached (%(reason)s)",
                whose=whose,
                reason=say.why_unreached(error),
            ),
            say.REACH,
        )
    try:
        theirs = parsedate_to_datetime(answer.headers["Date"]).astimezone(UTC)
    except (KeyError, ValueError):
        return say.skip(say.sentence("%(whose)s does not tell its time", whose=whose))
    ahead = case.now - theirs
    if abs(ahead) < NOTICEABLE:
        return say.ok(
            say.sentence("this machine's clock agrees with that of %(whose)s", whose=whose)
        )
    seconds = round(abs(ahead).total_seconds())
    if ahead > timedelta(0):
        said = say.sentence(
            "this machine's clock is %(seconds)s s ahead of that of %(whose)s",
            seconds=seconds,
            whose=whose,
        )
    else:
        said = say.sentence(
            "this machine's clock is %(seconds)s s behind that of %(whose)s",
            seconds=seconds,
            whose=whose,
        )
    return say.fail(said, _DO) if abs(ahead) > TOO_MUCH else say.warn(said, _DO)
