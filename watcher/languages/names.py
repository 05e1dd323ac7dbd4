"""Pure: states, causes and results, which are names in JSON, in the words of a language."""

from __future__ import annotations

from collections.abc import Mapping

from watcher.languages.catalogs import N_, Words
from watcher.languages.sentence import Sentence, coded, sentence

STATES: Mapping[str, str] = {
    # Of accounts.
    "invited": N_("invited"),
    "active": N_("active"),
    "paused": N_("paused"),
    "needs_reconnect": N_("needs reconnect"),
    "disconnecting": N_("disconnecting"),
    "disconnected": N_("disconnected"),
    # Of calendars.
    "up_to_date": N_("up to date"),
    "syncing": N_("syncing"),
    "delayed": N_("delayed"),
    "failing": N_("failing"),
    # Of problems.
    "no_channel": N_("no channel"),
    "short_channel": N_("short channel"),
    "not_masked": N_("not masked"),
    "not_cancelled": N_("not cancelled"),
    "erpnext_answers_late": N_("ERPNext answers late"),
    "key_not_unique": N_("key not unique"),
    "another_watcher": N_("another Watcher"),
    "queue_down": N_("queue down"),
    "no_sweep_run": N_("no sweep run"),
    "no_renew_run": N_("no renew run"),
    "sweep_fails": N_("sweep fails"),
    "renew_fails": N_("renew fails"),
    "notices_undelivered": N_("notices undelivered"),
    "no_push_arrives": N_("no push arrives"),
    "address_unreachable": N_("public address unreachable"),
    "not_running": N_("not running"),
    "not_answering": N_("not answering"),
    "restarts": N_("restarts"),
    "ledger_refuses_writes": N_("ledger refuses writes"),
    "set_aside": N_("set aside"),
    "changes_wait": N_("changes wait"),
    "channel_silent": N_("channel silent"),
    "process_silent": N_("process silent"),
}
CAUSES: Mapping[str, str] = {
    # Watcher's own.
    "cron_fails": N_("cron fails"),
    "cron_not_running": N_("cron not running"),
    "crash_loop": N_("crash loop"),
    "internal_error": N_("internal error"),
    "redis_unreachable": N_("Redis unreachable"),
    "settings": N_("settings"),
    "redis_refuses_jobs": N_("Redis refuses jobs"),
    "waiting_for_answer": N_("waiting for answer"),
    "waiting_for_turn": N_("waiting for turn"),
    "waiting_for_worker": N_("waiting for worker"),
    "watcher_not_running": N_("Watcher not running"),
    "web_not_answering": N_("web not answering"),
    "web_not_running": N_("web not running"),
    "worker_not_running": N_("worker not running"),
    "google_quota": N_("Google's limit reached"),
    "google_unavailable": N_("Google unavailable"),
    "erpnext_unavailable": N_("ERPNext unavailable"),
    "ledger_unavailable": N_("ledger unavailable"),
    "key_missing": N_("key missing"),
    "secret_altered": N_("secret altered"),
    "by_admin": N_("by admin"),
    "by_employee": N_("by employee"),
    "asked_by_employee": N_("asked by employee"),
    "wishes_to_leave": N_("wishes to leave"),
    "erpnext_user_removed": N_("ERPNext user removed"),
    "short_lived_channel": N_("short-lived channel"),
    "sweep_held": N_("mass cancellation"),
    "not_a_calendar_user": N_("not a calendar user"),
    "no_own_calendar": N_("no own calendar"),
    "service_account_key": N_("service account key"),
    "no_service_account": N_("no service account"),
    "no_refresh_token": N_("no refresh token"),
    "api_user_administrator": N_("API user Administrator"),
    "auth": N_("auth"),
    "erpnext_queue_full": N_("ERPNext queue full"),
    "missing_fields": N_("missing fields"),
    "no_connected_app": N_("no Connected App"),
    "no_site": N_("no site"),
    "permission": N_("permission"),
    "redirected": N_("redirected"),
    "refused_by_erpnext": N_("refused by ERPNext"),
    # Of single events.
    "unmappable": N_("unmappable"),
    "refused": N_("refused"),
    "duplicate_key": N_("duplicate key"),
    "too_large": N_("too large"),
    "not_found": N_("not found"),
    # Google's.
    "access_not_configured": N_("access not configured"),
    "service_disabled": N_("service disabled"),
    "project_suspended": N_("project suspended"),
    "insufficient_permissions": N_("insufficient permissions"),
    "missing_scope": N_("missing scope"),
    "delegation_not_allowed": N_("delegation not allowed"),
    "wrong_account": N_("wrong account"),
    "invalid_grant": N_("invalid grant"),
    "deleted_client": N_("deleted client"),
    "invalid_client": N_("invalid client"),
    "disabled_client": N_("disabled client"),
    "gone": N_("gone"),
}
RESULTS: Mapping[str, str] = {
    # Of checks.
    "ok": N_("ok"),
    "warn": N_("warn"),
    "fail": N_("fail"),
    "skip": N_("skip"),
    # Of a comparison.
    "missing": N_("missing"),
    "extra": N_("extra"),
    "different": N_("different"),
    # Of acts.
    "done": N_("done"),
    "failed": N_("failed"),
}
NAMES = {**CAUSES, **STATES, **RESULTS}


def in_words(name: str, _: Words) -> str:
    """How people read a state, a cause or a result. A name that is not known, such as a new one of
    Google's, is told as it is."""
    known = NAMES.get(name)
    return _(known) if known else name.replace("_", " ")


def named(name: str) -> Sentence:
    """The same within a sentence that is said later."""
    return sentence(NAMES.get(name, name.replace("_", " ")))


def code(name: str) -> Sentence:
    """The same where commands have the name itself: ``by_admin``, as in JSON."""
    return coded(name, NAMES.get(name, name.replace("_", " ")))
