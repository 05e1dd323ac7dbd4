"""Pure: what the audit trail tells of, which are names in JSON, in the words of a language."""

from __future__ import annotations

from collections.abc import Mapping

from watcher.languages.catalogs import N_, Words

ACTS: Mapping[str, str] = {
    "installation.init": N_("installation set up"),
    "installation.remove": N_("installation removed"),
    "erpnext.setup": N_("ERPNext set up"),
    "ledger.backup": N_("backup made"),
    "ledger.restore": N_("backup restored"),
    "account.add": N_("account added"),
    "account.import": N_("accounts imported"),
    "account.invite": N_("employee invited"),
    "account.mail": N_("invitation mailed"),
    "consent.give": N_("consent given"),
    "account.set": N_("choice for an account"),
    "account.pause": N_("account paused"),
    "account.resume": N_("account resumed"),
    "account.disconnect": N_("disconnecting asked for"),
    "account.disconnected": N_("account disconnected"),
    "calendar.add": N_("calendar added"),
    "calendar.remove": N_("calendar removed"),
    "calendar.sync": N_("sync asked for"),
    "calendar.resync": N_("full sync asked for"),
    "cancellation.confirm": N_("mass cancellation confirmed"),
    "queue.retry": N_("retry asked for"),
    "event.leave": N_("event left aside"),
    "event.take_up": N_("event taken up again"),
    "channel.renew": N_("channels renewed"),
    "channel.stop": N_("channels stopped"),
    "token.renew": N_("access tokens renewed"),
    "key.add": N_("key added"),
    "key.rotate": N_("keys rotated"),
    "key.forget": N_("key forgotten"),
    "notice.test": N_("notices tested"),
    "dashboard.sign_in": N_("admin signed in"),
    "dashboard.sign_out": N_("admin signed out"),
    "employee.sign_in": N_("employee signed in"),
    "employee.sign_out": N_("employee signed out"),
}
"""By the word of the act, each of which is here."""
FIGURES: Mapping[str, str] = {
    "accounts": N_("accounts"),
    "accounts_to_connect_again": N_("accounts to connect again"),
    "authorisations": N_("permissions ended"),
    "because": N_("cause"),
    "calendar": N_("calendar"),
    "calendars": N_("calendars"),
    "cause": N_("cause"),
    "connected_app": N_("Connected App"),
    "desk": N_("shape of the Desk"),
    "done": N_("done"),
    "event_type": N_("type of events"),
    "events": N_("events"),
    "failed": N_("failed"),
    "fields": N_("fields"),
    "left": N_("left"),
    "mended": N_("mended"),
    "people": N_("people"),
    "private_events": N_("private events"),
    "renewed": N_("renewed"),
    "role": N_("role"),
    "roles_taken": N_("roles taken away"),
    "rows": N_("rows"),
    "secrets": N_("secrets"),
    "sent": N_("sent"),
    "stopped": N_("stopped"),
    "todos": N_("ToDos"),
    "via": N_("way"),
}
"""Of what is counted or chosen, by the name that JSON has for it."""


def act_in_words(what: str, _: Words) -> str:
    """How people read an act; a word that is not known, such as one of a newer version, is told
    as it is."""
    return _(ACTS[what]) if what in ACTS else what


def figure_in_words(name: str, _: Words) -> str:
    return _(FIGURES[name]) if name in FIGURES else name.replace("_", " ")
