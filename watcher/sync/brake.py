"""The brake: a listing that would cancel most of a calendar is not believed. The rest of it goes on
without the cancellations until a person has confirmed them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from watcher.errors import SweepHeld
from watcher.events.compare import Place
from watcher.events.model import Action, Cancel, Row, Told
from watcher.events.plan import Situation, Trust, Veil, plan_snapshot
from watcher.languages.sentence import sentence
from watcher.sync.passes import Basis

CLOCK_TOLERANCE = timedelta(hours=1)
"""Clocks of several machines differ a little; a shorter window is another policy."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Brake:
    """Why the cancellations of a listing are held back, and how many they are."""

    message: str
    rows: int


def plan_braked(
    basis: Basis, told: Told, held: Sequence[Row], place: Place
) -> tuple[list[Action], Brake | None]:
    """The actions of a finished listing, without its cancellations where the brake holds. A consent
    lifts the brake up to the number of rows that an admin was shown."""
    work = basis.work
    situation = Situation(
        place=place,
        trust=Trust(api_user=basis.api_user, seen=work.rows_seen),
        veil=Veil(keys=work.to_mask, private_rows=basis.rules.hides_private_rows),
    )
    try:
        _check_clock(basis)
        return plan_snapshot(told, held, situation), None
    except SweepHeld as reason:
        actions = plan_snapshot(told, held, situation, force=True)
        others = [a for a in actions if not (isinstance(a, Cancel) and a.reason == "vanished")]
        sweep, allowed = len(actions) - len(others), work.sweep_allowed
        if allowed is not None and sweep <= allowed:
            return actions, None
        message = sentence(
            "%(reason)s; %(rows)s rows would be cancelled", reason=reason.message, rows=sweep
        )
        return others, Brake(message=message, rows=sweep)


def _check_clock(basis: Basis) -> None:
    """A clock set back would make the window end before what is mirrored, and sweep that away."""
    work = basis.work
    if work.window_end is None or work.policy_fingerprint != basis.policy:
        return
    behind = work.window_end - basis.window.end
    if behind > CLOCK_TOLERANCE:
        raise SweepHeld(
            sentence(
                "this machine's clock is %(behind)s behind that of the last full sync",
                behind=str(behind),
            ),
            cause="sweep_held",
            side="watcher",
            next_step=sentence("correct the clock, then `watcher resync EMAIL`"),
        )
