"""Frappe's own way to connect a Google account: a Connected App, and a Token Cache row for each
user who authorised it in the Desk.

Only the refresh token is read, whenever an access token is needed, and none is stored: Frappe
keeps it. Frappe's expiry is not trusted, since merely starting its flow makes an old token look
fresh. https://docs.frappe.io/framework/user/en/guides/integration/connected_app
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from watcher.erpnext.client import ErpNextClient
from watcher.erpnext.errors import RowGone
from watcher.errors import (
    AccountDead,
    ErpAuthError,
    ExitCode,
    Permanent,
)
from watcher.events.times import from_site

DOCTYPE = "Connected App"
QUERY = {"access_type": "offline", "prompt": "consent"}
"""Without these Google gives no refresh token, and the connection dies after an hour."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AppReport:
    """``name`` is Frappe's; ``redirect_uri`` has to be registered at Google; ``link`` is where
    employees authorise. ``wrong`` says what of an app that was there has to be corrected."""

    name: str
    redirect_uri: str
    link: str
    created: bool
    wrong: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Authorised:
    """A user with a Token Cache row, and when the row last changed (the site's naive time)."""

    user: str
    modified: str


def desk_link(site_url: str, app: str) -> str:
    return f"{site_url.rstrip('/')}/app/connected-app/{quote(app)}"


def find_app(client: ErpNextClient, client_id: str) -> str:
    """The Connected App of our OAuth client; "" when there is none. Names may repeat, ids do not:
    of several apps the oldest counts."""
    found = client.get_list(
        DOCTYPE,
        ["name"],
        [["client_id", "=", client_id]],
        order_by="creation asc",
        limit_page_length=1,
    )
    return str(found[0]["name"]) if found else ""


def install_app(
    client: ErpNextClient,
    *,
    client_id: str,
    client_secret: str,
    auth_url: str,
    token_url: str,
    revoke_url: str,
    scopes: Sequence[str],
    dry_run: bool = False,
) -> AppReport:
    """Create the app when there is none for our client; one that is there is only looked at.

    Takes the role System Manager. Raises ``ErpAuthError`` without it.
    """
    name = find_app(client, client_id)
    if name:
        uris = {
            "authorization_uri": auth_url,
            "token_uri": token_url,
            "revocation_uri": revoke_url,
        }
        return _look_at(client, name, uris, client_secret, scopes)
    if dry_run:
        return AppReport(name="", redirect_uri="", link="", created=False)
    made = client.insert(
        {
            "doctype": DOCTYPE,
            "provider_name": "Google Calendar (Watcher)",
            "client_id": client_id,
            "client_secret": client_secret,
            "authorization_uri": auth_url,
            "token_uri": token_url,
            "revocation_uri": revoke_url,
            "scopes": [{"scope": scope} for scope in scopes],
            "query_parameters": [{"key": k, "value": v} for k, v in QUERY.items()],
        }
    )
    return _report(client, made, created=True)


def _look_at(
    client: ErpNextClient, name: str, uris: Mapping[str, str], secret: str, scopes: Sequence[str]
) -> AppReport:
    doc = client.get_doc(DOCTYPE, name)
    asked = {str(row.get("key")): str(row.get("value")) for row in doc.get("query_parameters", [])}
    there = {str(row.get("scope")) for row in doc.get("scopes", [])}
    wrong = [
        f"query parameter {key} is not {value}"
        for key, value in QUERY.items()
        if asked.get(key) != value
    ]
    wrong += [f"scope {scope} is missing" for scope in scopes if scope not in there]
    wrong += [f"{field} is not {uri}" for field, uri in uris.items() if doc.get(field) != uri]
    if _password(client, DOCTYPE, name, "client_secret") != secret:
        wrong.append("client secret is not that of WATCHER_GOOGLE_CLIENT_SECRET")
    return _report(client, doc, created=False, wrong=tuple(wrong))


def _report(
    client: ErpNextClient, doc: dict[str, Any], *, created: bool, wrong: tuple[str, ...] = ()
) -> AppReport:
    name = str(doc["name"])
    return AppReport(
        name=name,
        redirect_uri=str(doc.get("redirect_uri") or ""),
        link=desk_link(client.url, name),
        created=created,
        wrong=wrong,
    )


def require_app(client: ErpNextClient, client_id: str) -> str:
    """The app's name. Raises ``Permanent`` (not found) that says how to make it."""
    name = find_app(client, client_id)
    if not name:
        raise Permanent(
            "ERPNext has no Connected App for our Google client",
            cause="no_connected_app",
            side="erpnext",
            next_step="watcher erpnext setup --connected-app",
            exit_code=ExitCode.NOT_FOUND,
        )
    return name


def authorised(client: ErpNextClient, app: str, user: str | None = None) -> list[Authorised]:
    """Everyone (or ``user`` alone) with a Token Cache row for the app, also those whose token is
    missing or dead."""
    filters = [["connected_app", "=", app]] + ([["user", "=", user]] if user else [])
    rows = client.rows("Token Cache", filters, ["user", "modified"])
    return [Authorised(str(row["user"]), str(row["modified"])) for row in rows if row.get("user")]


def authorised_at(client: ErpNextClient, app: str, user: str, zone: ZoneInfo) -> datetime | None:
    """When the user's Token Cache row last changed: then he authorised, or Frappe refreshed."""
    stamps = [row.modified for row in authorised(client, app, user)]
    return from_site(max(stamps), zone) if stamps else None


def refresh_token(client: ErpNextClient, app: str, user: str) -> str:
    """The user's refresh token, decrypted by the server for System Managers.

    Raises ``AccountDead`` when there is none (with the Desk link), ``ErpAuthError`` when we may
    not read it, ``Transient``.
    """
    token = _password(client, "Token Cache", f"{app}-{user}", "refresh_token")
    if token is None:
        raise _not_authorised(client, app, user)
    return token


def _password(client: ErpNextClient, doctype: str, name: str, field: str) -> str | None:
    """A secret, decrypted by the server for System Managers; None when there is none.

    Raises ``ErpAuthError`` when we may not read it, ``Transient``.
    """
    params = {"doctype": doctype, "name": name, "fieldname": field}
    try:
        secret = client.method("frappe.client.get_password", read=True, params=params)
    except RowGone:
        return None
    except ErpAuthError as error:
        # A row without a stored password answers 401, exactly as a wrong API key does.
        if error.cause != "auth":
            raise
        client.whoami()
        return None
    return secret if isinstance(secret, str) and secret else None


def forget(client: ErpNextClient, app: str, user: str) -> None:
    """Delete the user's Token Cache row; one that is gone is forgotten."""
    client.delete("Token Cache", f"{app}-{user}")


def _not_authorised(client: ErpNextClient, app: str, user: str) -> AccountDead:
    return AccountDead(
        f"{user} has not authorised Google Calendar in ERPNext",
        cause="no_refresh_token",
        side="erpnext",
        next_step=f"{user} opens {desk_link(client.url, app)} and presses 'Connect to ...'",
    )
