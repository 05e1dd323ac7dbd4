"""Frappe's own way to connect a Google account: a Connected App, and a Token Cache row for each
user who authorised it in the Desk.

Only the refresh token is read, whenever an access token is needed, and none is stored: Frappe
keeps it. Frappe's expiry is not trusted, since merely starting its flow makes an old token look
fresh. https://docs.frappe.io/framework/user/en/guides/integration/connected_app
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from watcher import errors
from watcher.erpnext.client import ErpNextClient
from watcher.erpnext.errors import RowGone
from watcher.events.times import from_site
from watcher.languages.sentence import sentence

DOCTYPE = "Connected App"
PROVIDER = "Google Calendar (Watcher)"
"""The name under which Watcher makes the app, so that it is known again."""
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


@dataclass(frozen=True, kw_only=True, slots=True)
class WantedApp:
    """The Connected App that our OAuth client needs: the client, Google's addresses, the scopes."""

    client_id: str
    client_secret: str = field(repr=False)
    auth_url: str
    token_url: str
    revoke_url: str
    scopes: tuple[str, ...]

    @property
    def addresses(self) -> dict[str, str]:
        """By the name of Frappe's field."""
        return {
            "authorization_uri": self.auth_url,
            "token_uri": self.token_url,
            "revocation_uri": self.revoke_url,
        }


def find_app(client: ErpNextClient, client_id: str) -> str:
    """The Connected App of our OAuth client; "" when there is none. Names may repeat, ids do not:
    of several apps the oldest counts."""
    return _oldest(client, [["client_id", "=", client_id]])


def made_app(client: ErpNextClient, client_id: str) -> str:
    """As ``find_app``, of those that Watcher has made: the site's own ones have other names."""
    return _oldest(client, [["client_id", "=", client_id], ["provider_name", "=", PROVIDER]])


def _oldest(client: ErpNextClient, filters: list[list[str]]) -> str:
    found = client.rows(DOCTYPE, filters, ["creation"])
    oldest = min(found, key=lambda row: str(row["creation"]), default={"name": ""})
    return str(oldest["name"])


def look_at_app(client: ErpNextClient, wanted: WantedApp) -> AppReport:
    """What is there, and what of it is wrong; an empty name where there is none for our client.

    Takes the role System Manager. Raises ``ErpAuthError`` without it.
    """
    name = find_app(client, wanted.client_id)
    if not name:
        return AppReport(name="", redirect_uri="", link="", created=False)
    doc = client.get_doc(DOCTYPE, name)
    asked = {str(row.get("key")): str(row.get("value")) for row in doc.get("query_parameters", [])}
    there = {str(row.get("scope")) for row in doc.get("scopes", [])}
    wrong = [
        f"query parameter {key} is not {value}"
        for key, value in QUERY.items()
        if asked.get(key) != value
    ]
    wrong += [f"scope {scope} is missing" for scope in wanted.scopes if scope not in there]
    wrong += [
        f"{each} is not {uri}" for each, uri in wanted.addresses.items() if doc.get(each) != uri
    ]
    if _password(client, DOCTYPE, name, "client_secret") != wanted.client_secret:
        wrong.append("client secret is not that of WATCHER_GOOGLE_CLIENT_SECRET")
    return replace(_report(client, doc), wrong=tuple(wrong))


def install_app(client: ErpNextClient, wanted: WantedApp) -> AppReport:
    """Create the app when there is none for our client; one that is there is only looked at.

    Takes the role System Manager. Raises ``ErpAuthError`` without it.
    """
    there = look_at_app(client, wanted)
    if there.name:
        return there
    made = client.insert(
        {
            "doctype": DOCTYPE,
            "provider_name": PROVIDER,
            "client_id": wanted.client_id,
            "client_secret": wanted.client_secret,
            **wanted.addresses,
            "scopes": [{"scope": scope} for scope in wanted.scopes],
            "query_parameters": [{"key": k, "value": v} for k, v in QUERY.items()],
        }
    )
    return replace(_report(client, made), created=True)


def _report(client: ErpNextClient, doc: Mapping[str, Any]) -> AppReport:
    name = str(doc["name"])
    return AppReport(
        name=name,
        redirect_uri=str(doc.get("redirect_uri") or ""),
        link=desk_link(client.url, name),
        created=False,
    )


def require_app(client: ErpNextClient, client_id: str) -> str:
    """The app's name. Raises ``Permanent`` (not found) that says how to make it."""
    name = find_app(client, client_id)
    if not name:
        raise errors.Permanent(
            sentence("ERPNext has no Connected App for our Google client"),
            cause=errors.Cause.NO_CONNECTED_APP,
            side="erpnext",
            next_step="watcher erpnext setup --connected-app",
            exit_code=errors.ExitCode.NOT_FOUND,
        )
    return name


def authorised(client: ErpNextClient, app: str, user: str | None = None) -> list[Authorised]:
    """Everyone (or ``user`` alone) with a Token Cache row for the app, also those whose token is
    missing or dead."""
    filters = [["connected_app", "=", app]] + ([["user", "=", user]] if user else [])
    rows = client.rows("Token Cache", filters, ["user", "modified"])
    return [Authorised(str(row["user"]), str(row["modified"])) for row in rows if row.get("user")]


def authorised_at(client: ErpNextClient, app: str, user: str, zone: ZoneInfo) -> datetime | None:
    """When the user's Token Cache row last changed, since the user authorised or Frappe renewed."""
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


def _password(client: ErpNextClient, doctype: str, name: str, fieldname: str) -> str | None:
    """A secret, decrypted by the server for System Managers; None when there is none.

    Raises ``ErpAuthError`` when we may not read it, ``Transient``.
    """
    params = {"doctype": doctype, "name": name, "fieldname": fieldname}
    try:
        secret = client.read("frappe.client.get_password", params=params)
    except RowGone:
        return None
    except errors.ErpAuthError as error:
        # A row without a stored password answers 401, exactly as a wrong API key does.
        if error.cause != "auth":
            raise
        client.whoami()
        return None
    return secret if isinstance(secret, str) and secret else None


def forget(client: ErpNextClient, app: str, user: str) -> None:
    """Delete the user's Token Cache row; one that is gone is forgotten."""
    client.delete("Token Cache", f"{app}-{user}")


def _not_authorised(client: ErpNextClient, app: str, user: str) -> errors.AccountDead:
    return errors.AccountDead(
        sentence("%(user)s has not authorised Google Calendar in ERPNext", user=user),
        cause=errors.Cause.NO_REFRESH_TOKEN,
        side="erpnext",
        next_step=sentence(
            "%(user)s opens %(link)s and presses 'Connect to ...'",
            user=user,
            link=desk_link(client.url, app),
        ),
    )
