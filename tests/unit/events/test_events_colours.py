"""Colours of the calendar: stable, few, and readable as Frappe's calendar draws them."""

from __future__ import annotations

import pytest

from watcher.events.colours import PALETTE, colour_of

AS_DRAWN = {
    "#fff0f0": "#b52a2a",
    "#f9f0ff": "#6e399d",
    "#fff1e7": "#bd3e0c",
    "#f2d4e6": "#9c2671",
    "#f3f3f3": "#525252",
    "#e9d6f5": "#6e399d",
    "#feeef8": "#9c2671",
    "#e2e2e2": "#525252",
}
"""Background and text in the Desk of 15.43 and 16.0.0-dev alike: for the two lightest shades of its
palette Frappe takes the darkest as the text."""


def light(colour: str) -> float:
    """The relative luminance of WCAG."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("colour", PALETTE)
def test_each_is_readable(colour: str) -> None:
    assert (light(colour) + 0.05) / (light(AS_DRAWN[colour]) + 0.05) >= 4.9


def test_one_person_has_one_colour_on_every_machine() -> None:
    assert colour_of("ann@example.com") == colour_of(" Ann@Example.com") == "#f9f0ff"
    assert {colour_of(f"{n}@example.com") for n in range(100)} == set(PALETTE)
    assert colour_of("") == ""
