"""The words with which a calendar is rung: a ring wakes a worker for it."""

from __future__ import annotations

from typing import Literal, get_args

Lane = Literal["live", "backfill"]
"""Whose work it is: ``live`` workers take what people wait for, ``backfill`` workers the rest."""
LANES: tuple[Lane, ...] = get_args(Lane)

Reason = Literal[
    "added",
    "again",
    "channel",
    "connect",
    "left",
    "policy",
    "poll",
    "push",
    "reconcile",
    "refused",
    "retry",
    "sweep",
    "unanswered",
]
"""Why a calendar is rung; a worker takes no other word."""
REASONS: frozenset[str] = frozenset(get_args(Reason))
