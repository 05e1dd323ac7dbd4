"""The colour of an event in the Desk's calendar: one for each person, or for each outlet. Pure.

These are colours of Frappe's own palette. For them its calendar takes a dark text of the same
colour; for any other it takes half of the background, which is hard to read on a pastel. Each gives
its text a contrast of 4.9 or more as drawn; Frappe's light green, yellow and blue do not, and blue
is the colour of events that have none.
"""

from __future__ import annotations

import hashlib

PALETTE = (
    "#fff0f0",  # red
    "#f9f0ff",  # purple
    "#fff1e7",  # orange
    "#f2d4e6",  # pink
    "#f3f3f3",  # gray
    "#e9d6f5",  # a darker purple
    "#feeef8",  # a lighter pink
    "#e2e2e2",  # a darker gray
)


def colour_of(who: str) -> str:
    """The same for the same person or outlet on every machine; none for nobody."""
    if not who:
        return ""
    digest = hashlib.sha256(who.strip().lower().encode()).digest()
    return PALETTE[digest[0] % len(PALETTE)]
