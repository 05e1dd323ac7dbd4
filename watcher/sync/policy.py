"""From settings to the rules and the window of one calendar."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime

from watcher.erpnext.site import Employee, Site
from watcher.events.colours import colour_of
from watcher.events.fields import COLOUR
from watcher.events.mapping import MAPPING_VERSION
from watcher.events.model import MappingRules, Masks, Window
from watcher.events.window import make_window, reaching
from watcher.ledger.choices import effective
from watcher.ledger.debts import Work
from watcher.settings import Settings


def make_rules(
    settings: Settings, work: Work, site: Site, employee: Employee | None
) -> MappingRules:
    """``employee`` is the ERPNext Employee of the account's user, where events name one."""
    wanted = settings.event_colour
    fields = site.fields if wanted != "no" else site.fields - {COLOUR}
    whose = {"person": work.account, "outlet": employee.outlet if employee else ""}
    chosen = effective(settings, work.wishes)
    return MappingRules(
        account=work.account,
        calendar_id=work.google_id,
        erpnext_user=work.erpnext_user,
        site_zone=site.zone,
        site_fields=fields,
        colour=colour_of(whose.get(wanted, "")),
        employee=employee.name if employee else None,
        default_event_type=chosen.event_type,
        private_events=chosen.private_events,
        declined_events=settings.declined_events,
        masks=Masks(settings.busy_title, settings.free_title),
    )


def window_of(settings: Settings, now: datetime) -> Window:
    """What is mirrored: the window that is promised, with its reach."""
    return reaching(make_window(now, settings.window_past_days, settings.window_future_days))


def policy_fingerprint(settings: Settings, rules: MappingRules) -> str:
    """Changes when any setting that shapes the mirror does; a change owes a snapshot."""
    shape = [
        MAPPING_VERSION,
        str(rules.site_zone),
        rules.erpnext_user,
        rules.default_event_type,
        rules.private_events,
        rules.declined_events,
        settings.cancelled_events,
        settings.window_past_days,
        settings.window_future_days,
        settings.erpnext_url,
        rules.employee,
        sorted(rules.site_fields),
        *([rules.colour] if rules.colour else []),
        *([] if rules.masks.are_usual else [[rules.masks.busy, rules.masks.free]]),
    ]
    return hashlib.sha256(json.dumps(shape).encode()).hexdigest()
