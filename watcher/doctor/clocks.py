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
            f"{whose} cannot be reached ({say.why_unreached(error)})",
            "see that this machine may open connections to it, and the proxy settings",
        )
    try:
        theirs = parsedate_to_datetime(answer.headers["Date"]).astimezone(UTC)
    except (KeyError, ValueError):
        return say.skip(f"{whose} does not tell its time")
    ahead = case.now - theirs
    if abs(ahead) < NOTICEABLE:
        return say.ok(f"this machine's clock agrees with that of {whose}")
    way = "ahead of" if ahead > timedelta(0) else "behind"
    said = f"this machine's clock is {abs(ahead).total_seconds():.0f} s {way} that of {whose}"
    return say.fail(said, _DO) if abs(ahead) > TOO_MUCH else say.warn(said, _DO)
