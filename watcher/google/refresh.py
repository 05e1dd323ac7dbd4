"""One refresh at Google's token endpoint with google-auth, and what it means when it fails.

``RefreshError.retryable`` is not used: it is False for a 502 and for a lost connection. Only an
OAuth error document of a 4xx answer, with a code from the table below, ends an account or stops
the installation; every other failure is ``Transient``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

import requests
from google.auth import jwt
from google.auth.exceptions import GoogleAuthError, RefreshError
from google.auth.transport.requests import Request
from google.oauth2 import credentials as user_credentials
from google.oauth2 import service_account

from watcher.errors import AccountDead, AppDead, Transient, WatcherError, why_unreached
from watcher.google.delegation import ServiceAccount
from watcher.google.endpoints import CALENDAR_SCOPE, GoogleEndpoints
from watcher.google.errors import SIDE
from watcher.google.grants import Grant
from watcher.languages.sentence import sentence
from watcher.telemetry.counts import Answered, nobody
from watcher.waiting import asked_seconds

_APP_CODES: Final = frozenset({"deleted_client", "invalid_client", "disabled_client"})
ACCOUNT_CODES: Final = frozenset(
    {
        "invalid_grant",
        "invalid_rapt",
        "admin_policy_enforced",
        "unauthorized_client",
        "org_internal",
        "access_denied",
        "invalid_account",
        "policy_enforced",
    }
)
_KEY_WORDS: Final = ("signature", "account not", "robot is disabled", "no valid verifier")
"""Where the description of a service account's ``invalid_grant`` holds one of these, Google refuses
the key or the service account itself, and so every mailbox."""
_CODE: Final = re.compile(r"[a-z_]{3,40}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Fresh:
    """A new access token; ``refresh_token`` only when Google gave another one. Expiry in UTC.
    ``email`` (lower case) and ``scopes`` are whose and what it is, where Google says so."""

    access_token: str = field(repr=False)
    expires_at: datetime
    refresh_token: str | None = field(default=None, repr=False)
    email: str | None = None
    scopes: frozenset[str] | None = None


# google-auth leaves these untyped.
_UserCredentials: Any = user_credentials.Credentials
_DelegatedCredentials: Any = service_account.Credentials


class _Transport(Request):
    """google-auth's transport: our time-out, no redirects, and the last answer is remembered."""

    def __init__(self, session: requests.Session, timeout: float, answered: Answered) -> None:
        super().__init__(session)
        self._timeout = timeout
        self._answered = answered
        self.status: int | None = None
        self.headers: Mapping[str, str] = {}
        self.body: bytes | str = b""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        # A redirect would carry the client's secret to another address.
        kwargs.update(timeout=self._timeout, allow_redirects=False)
        self.status = None
        try:
            answer: Any = super().__call__(*args, **kwargs)  # type: ignore[no-untyped-call]
        except Exception:
            self._answered(None)
            raise
        self._answered(answer.status)
        self.status, self.headers, self.body = answer.status, answer.headers, answer.data
        return answer

    def granted(self) -> frozenset[str] | None:
        """The scopes that the answer names; google-auth reads them only where it asked for some."""
        try:
            scope = json.loads(self.body).get("scope")
        except (ValueError, AttributeError):
            return None
        return frozenset(scope.split()) if isinstance(scope, str) and scope else None


def refresh_user(
    grant: Grant, endpoints: GoogleEndpoints, *, timeout: float = 10.0, answered: Answered = nobody
) -> Fresh:
    """Exchange an employee's refresh token. Raises ``AccountDead``, ``AppDead``, ``Transient``."""
    credentials = _UserCredentials(
        token=None,
        refresh_token=grant.refresh_token,
        token_uri=endpoints.token_url,
        client_id=endpoints.client_id,
        client_secret=endpoints.client_secret,
    )
    return _refresh(credentials, grant, timeout, answered)


def refresh_delegated(
    grant: Grant,
    key: ServiceAccount,
    endpoints: GoogleEndpoints,
    *,
    scope: str = CALENDAR_SCOPE,
    timeout: float = 10.0,
    answered: Answered = nobody,
) -> Fresh:
    """A token to act as the grant's mailbox. Raises ``AccountDead``, ``AppDead``, ``Transient``."""
    pem = key.info["private_key"]
    key_id = str(key.info.get("private_key_id", ""))
    base = _delegate(key.client_email, pem, key_id, endpoints.token_url)
    acting = base.with_scopes([scope]).with_subject(grant.email)
    return _refresh(acting, grant, timeout, answered)


@lru_cache(maxsize=4)
def _delegate(client_email: str, private_key: str, key_id: str, token_url: str) -> Any:
    """The credentials of a service account, kept between calls: parsing the key costs more than
    anything else that a refresh does on this machine."""
    info = {
        "client_email": client_email,
        "private_key": private_key,
        "private_key_id": key_id or None,
        "token_uri": token_url,
    }
    return _DelegatedCredentials.from_service_account_info(info)


def _refresh(credentials: Any, grant: Grant, timeout: float, answered: Answered) -> Fresh:
    with requests.Session() as session:
        transport = _Transport(session, timeout, answered)
        try:
            credentials.refresh(transport)
        except RefreshError as error:
            asked = asked_seconds(transport.headers.get("retry-after"))
            failed = FailedRefresh(args=error.args, status=transport.status, asked=asked)
            # "from None": the original carries Google's whole answer.
            raise refresh_failure(failed, grant) from None
        except (GoogleAuthError, requests.RequestException, OSError) as error:
            raise _passing(
                sentence(
                    "Google's token endpoint could not be reached (%(why)s)",
                    why=why_unreached(error),
                )
            ) from None
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
            raise _passing(
                sentence(
                    "Google's token endpoint gave a malformed answer (%(error)s)",
                    error=type(error).__name__,
                )
            ) from None
    return _fresh(credentials, grant, transport.granted())


def _fresh(credentials: Any, grant: Grant, scopes: frozenset[str] | None) -> Fresh:
    token, expiry, sent = credentials.token, credentials.expiry, grant.refresh_token
    if not isinstance(token, str) or not token or not isinstance(expiry, datetime):
        raise _passing(
            sentence("Google's token endpoint gave an answer without access_token or expires_in")
        )
    rotated = getattr(credentials, "refresh_token", None) if sent else None
    return Fresh(
        access_token=token,
        expires_at=expiry.replace(tzinfo=UTC),  # google-auth's expiry is naive UTC
        refresh_token=rotated if isinstance(rotated, str) and rotated != sent else None,
        email=_email(getattr(credentials, "id_token", None)),
        scopes=scopes,
    )


def _email(id_token: object) -> str | None:
    """The address in an ID token. It comes straight from Google's token endpoint, so its signature
    need not be checked (https://developers.google.com/identity/openid-connect/openid-connect)."""
    try:
        claims = jwt.decode(str(id_token), verify=False) if id_token else {}
    except (GoogleAuthError, ValueError):
        return None
    email = claims.get("email")
    return email.strip().lower() if isinstance(email, str) else None


def _passing(what: str, retry_after: float | None = None) -> Transient:
    return Transient(what, side=SIDE, retry_after=retry_after)


# --- what a failure means (pure) --------------------------------------------------------------


def error_code(args: tuple[object, ...]) -> tuple[str, str]:
    """(code, description) from ``RefreshError.args`` of any shape; ("", "") when there is none.

    Both are only compared, never shown: the arguments can hold the whole answer.
    """
    for arg in args:
        if isinstance(arg, dict) and isinstance(arg.get("error"), str):
            code = arg["error"]
            if arg.get("error_subtype") in ("invalid_rapt", "rapt_required"):
                code = "invalid_rapt"
            description = arg.get("error_description")
            known = code if _CODE.fullmatch(code) else ""
            return known, description.lower() if isinstance(description, str) else ""
    # For invalid_rapt google-auth raises one sentence about gcloud and no document.
    if args and isinstance(args[0], str) and args[0].lower().startswith("reauthentication"):
        return "invalid_rapt", ""
    return "", ""


@dataclass(frozen=True, kw_only=True, slots=True)
class FailedRefresh:
    """``args`` of google-auth's ``RefreshError``, the answer's ``status`` (None: there was none)
    and its ``Retry-After`` in seconds."""

    args: tuple[object, ...] = field(repr=False)
    status: int | None
    asked: float | None = None


def refresh_failure(failed: FailedRefresh, grant: Grant) -> WatcherError:
    """What a failed refresh means for the account, the app, or only for the next minutes."""
    code, description = error_code(failed.args)
    status = failed.status
    if not code or status is None or not 400 <= status < 500 or status in (408, 429):
        answered = (
            sentence("Google's token endpoint answered %(status)s", status=status)
            if status
            else sentence("Google's token endpoint gave no answer")
        )
        return _passing(answered, failed.asked)
    if code in _APP_CODES:
        return _app_dead(code)
    if grant.source == "service-account":
        return _delegated_failure(code, description, grant.email, status)
    if code in ACCOUNT_CODES:
        return AccountDead(
            sentence(
                "Google no longer accepts the grant of %(email)s (%(code)s)",
                email=grant.email,
                code=code,
            ),
            cause=code,
            side=SIDE,
            next_step=f"watcher accounts invite {grant.email}",
        )
    return _passing(_answered(status, code), failed.asked)


def _answered(status: int, code: str) -> str:
    return sentence(
        "Google's token endpoint answered %(status)s (%(code)s)", status=status, code=code
    )


def _app_dead(code: str) -> AppDead:
    return AppDead(
        sentence("Google refuses Watcher's OAuth client (%(code)s)", code=code),
        cause=code,
        side=SIDE,
        next_step=sentence(
            "Check the client in the Google Cloud console (a deleted one "
            "can be restored for 30 days), WATCHER_GOOGLE_CLIENT_ID and "
            "WATCHER_GOOGLE_CLIENT_SECRET."
        ),
    )


def _delegated_failure(code: str, description: str, email: str, status: int) -> WatcherError:
    """``invalid_grant`` of a service account has several meanings; the description tells them."""
    is_key = any(words in description for words in _KEY_WORDS)
    if code == "invalid_grant" and "jwt" in description and not is_key:
        failure = _passing(
            sentence("Google's token endpoint found the time of our request wrong (invalid_grant)")
        )
        failure.next_step = sentence("Check this machine's clock: it must be right to the minute.")
        return failure
    if code == "invalid_grant" and is_key:
        return AppDead(
            sentence("Google refuses the service account's key (invalid_grant)"),
            cause="service_account_key",
            side=SIDE,
            next_step=sentence(
                "The key or the service account was deleted or disabled: "
                "create a new key and name it in "
                "WATCHER_GOOGLE_SERVICE_ACCOUNT_FILE."
            ),
        )
    if code == "invalid_grant" or "invalid impersonation" in description:
        step = sentence(
            "Check that the mailbox %(email)s exists and is active in Google Workspace.",
            email=email,
        )
    elif code in ACCOUNT_CODES:
        step = sentence(
            "In the Google Admin console (Security > API controls > Domain-wide delegation) give "
            "the service account's client id the scope %(scope)s; this can take 24 hours.",
            scope=CALENDAR_SCOPE,
        )
    else:
        return _passing(_answered(status, code))
    return AccountDead(
        sentence(
            "Google does not let the service account act for %(email)s (%(code)s)",
            email=email,
            code=code,
        ),
        cause=code if code in ACCOUNT_CODES else "invalid_grant",
        side=SIDE,
        next_step=step,
    )
