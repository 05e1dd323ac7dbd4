"""The code stays as plain as it is: limits of the figures that ``tests/figures.py`` counts."""

from __future__ import annotations

from tests.figures import figures

LIMITS = {
    "functions with five or more parameters, %": 4,
    "bool parameters in 100 functions": 5,
    "own names imported a module, median": 5,
    "own names imported a module, most": 22,
    "own frames from RQ's call to the HTTP request, most": 11,
    "own frames when a row's past is erased, most": 14,
    "ledger transactions for one edit": 4,
    "ledger statements for one edit": 12,
    "ledger transactions for a new calendar": 8,
    "ledger statements for a new calendar": 32,
    "places that name a mirrored field, most": 4,
    "lines laid out by hand (fmt: skip)": 5,
    "files at the top of watcher/": 7,
    "function length in lines, p90": 23,
    "function length in lines, most": 60,
}


def test_figures_keep_their_limits() -> None:
    counted = figures()
    assert set(counted) == set(LIMITS)
    over = {name: v for name, v in counted.items() if v > LIMITS[name]}
    assert not over, "beyond the limit; `python -m tests.figures` prints all"
