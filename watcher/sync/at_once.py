"""ERPNext is asked once what it holds of the events of several calendars, given all changes by one
call, and asked once what came of it; what they owe is settled in one transaction.

Only passes that are alike can end so: a few changes of single events that everybody may read.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from watcher import errors
from watcher.erpnext.applied import Applied
from watcher.erpnext.client import BATCH
from watcher.erpnext.events import EventMirror
from watcher.services import Services
from watcher.sync.attempt import End
from watcher.sync.decide import Plan, decide
from watcher.sync.held import Wanted
from watcher.sync.outcome import Made, commit
from watcher.sync.passes import keep_lease
from watcher.sync.side_by_side import Begun
from watcher.sync.story import Outcome
from watcher.sync.touched import Written, look_back_at
from watcher.sync.work import Story
from watcher.telemetry import traces

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Planned:
    """A pass of which it is decided what to write."""

    begun: Begun
    plan: Plan

    def outcome(self) -> Outcome:
        """What it came to where nothing was refused."""
        return self.begun.heard.came_to(self.plan, Applied.as_planned(self.plan.actions))


def ends(services: Services, begun: Sequence[Begun]) -> dict[int, Story]:
    """The passes that could be brought to their end together, and how they have ended. Where
    ERPNext, or the ledger, did not answer, that is the error of each of them; what may be due to
    one of them is met by that one alone."""
    few = _few(begun)
    if len(few) < 2:
        return {}
    told_by = " ".join(each.attempt.work.told_by for each in few)
    with traces.of_pass(few[0].attempt.trace, told_by):
        try:
            made = _made(services, few)
            ends = commit(services, *made)
        except errors.LeaseLost:
            return {}  # of one of them
        except errors.Transient as error:
            return {each.calendar_id: partial(_meet, error) for each in few if each.wanted}
        except errors.WatcherError:
            return {}  # one of them may have a value that ERPNext chokes on
        except Exception:
            log.exception("failed unexpectedly; each calendar is gone on with alone")
            return {}
    return {each.calendar_id: partial(End, end) for each, end in zip(made, ends, strict=True)}


def _meet(error: errors.WatcherError) -> End:
    raise error


def _few(begun: Iterable[Begun]) -> list[Begun]:
    """Those whose rows can be asked for by one call, in the order in which all processes lock
    calendars: two that lock the same ones in different orders would wait for each other."""
    found, room = [], BATCH
    for each in sorted(begun, key=lambda each: each.calendar_id):
        wanted = each.wanted
        takes = len(wanted.keys) + len(wanted.roots) if wanted else 0
        if (wanted or each.heard.reading.is_empty) and takes <= room:
            found.append(each)
            room -= takes
    return found


def _made(services: Services, few: Sequence[Begun]) -> list[Made]:
    """Look up ERPNext, decide, write the differences of all, and look what came of it. Left out is
    whatever is not plain, and of which ERPNext has refused something. In the order of ``few``."""
    since = min(each.attempt.mark for each in few)
    hold = keep_lease(services, since, *(each.attempt.lease for each in few))
    mirror, empty = few[0].p.mirror, [each for each in few if each.wanted is None]
    plans = _plans(mirror, [(each, each.wanted) for each in few if each.wanted])
    hold()
    plain = [each for each in plans if each.plan.is_plain]
    actions = [action for each in plain for action in each.plan.actions]
    applied = mirror.apply(actions, before_batch=hold)
    refused = {each.key for each in applied.refused}
    done = [each for each in plain if refused.isdisjoint(a.key for a in each.plan.actions)]
    outcomes = _looked_back(mirror, done)
    if outcomes:
        outcomes[0].applied.answered_late = applied.answered_late
    nothing = [each.made(each.heard.came_to(Plan(), Applied())) for each in empty]
    changed = (p.begun.made(o) for p, o in zip(done, outcomes, strict=True))
    return sorted([*nothing, *changed], key=lambda each: each.calendar_id)


def _plans(mirror: EventMirror, told: Sequence[tuple[Begun, Wanted]]) -> list[Planned]:
    if not told:
        return []
    keys = {key for _, wanted in told for key in wanted.keys}
    roots = {root for _, wanted in told for root in wanted.roots}
    rows = mirror.rows_by_keys_or_series(keys, roots)
    return [
        Planned(each, decide(each.p.basis, each.heard.reading, wanted.among(rows)))
        for each, wanted in told
    ]


def _looked_back(mirror: EventMirror, done: Sequence[Planned]) -> list[Outcome]:
    """What each came to; with ERPNext's newest stamp, where something was written and there is one
    to go on from."""
    outcomes = [each.outcome() for each in done]
    wrote = [
        (number, Written(each.begun.p.basis.calendar, each.plan.written, before))
        for number, each in enumerate(done)
        if (before := each.begun.p.basis.work.rows_seen) and outcomes[number].applied.wrote
    ]
    looks = look_back_at(mirror, [written for _, written in wrote])
    for (number, _), (seen, touched) in zip(wrote, looks, strict=True):
        outcomes[number] = replace(outcomes[number], rows_seen=seen, touched=touched)
    return outcomes
