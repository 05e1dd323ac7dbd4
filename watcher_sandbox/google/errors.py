"""Google's error answers: the JSON of the Calendar API and that of the token endpoint.

https://developers.google.com/workspace/calendar/api/guides/errors
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DOMAIN_OF_REASON: dict[str, str] = {
    "userRateLimitExceeded": "usageLimits",
    "rateLimitExceeded": "usageLimits",
    "quotaExceeded": "usageLimits",
    "accessNotConfigured": "usageLimits",
    "fullSyncRequired": "calendar",
    "updatedMinTooLongAgo": "calendar",
    "timeRangeEmpty": "calendar",
    "pushNotSupportedForRequestedResource": "calendar",
    "forbiddenForNonOrganizer": "calendar",
    "notACalendarUser": "calendar",
    "cannotChangeOrganizer": "calendar",
}
REASON_OF_STATUS: dict[int, str] = {
    400: "badRequest",
    401: "authError",
    403: "rateLimitExceeded",
    404: "notFound",
    409: "duplicate",
    410: "fullSyncRequired",
    412: "conditionNotMet",
    429: "rateLimitExceeded",
    500: "backendError",
    502: "badGateway",
    503: "backendError",
    504: "gatewayTimeout",
}


class GoogleError(Exception):
    """A refusal of the Calendar API: status, reason and the parameter that it names."""

    def __init__(
        self,
        status: int,
        reason: str,
        message: str,
        *,
        location: str | None = None,
        location_type: str = "parameter",
        extra: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{status} {reason}: {message}")
        self.status = status
        self.reason = reason
        self.message = message
        self.location = location
        self.location_type = location_type
        self.extra = dict(extra or {})
        self.headers = dict(headers or {})

    def body(self) -> dict[str, Any]:
        """``{"error": {"code", "message", "errors": [{"domain", "reason", "message", ...}]}}``."""
        entry: dict[str, Any] = {
            "domain": DOMAIN_OF_REASON.get(self.reason, "global"),
            "reason": self.reason,
            "message": self.message,
        }
        if self.location is not None:
            entry |= {"locationType": self.location_type, "location": self.location}
        return {
            "error": {
                "errors": [entry],
                "code": self.status,
                "message": self.message,
                **self.extra,
            }
        }


class OAuthError(Exception):
    """A refusal of the token endpoint: ``{"error": ..., "error_description": ...}``."""

    def __init__(self, error: str, description: str, status: int = 400, **extra: str) -> None:
        super().__init__(f"{status} {error}: {description}")
        self.error = error
        self.description = description
        self.status = status
        self.extra = extra

    def body(self) -> dict[str, Any]:
        return {"error": self.error, "error_description": self.description, **self.extra}


def invalid(location: str, message: str, reason: str = "invalid") -> GoogleError:
    return GoogleError(400, reason, message, location=location)


def required(location: str) -> GoogleError:
    return GoogleError(400, "required", f"Required parameter: {location}", location=location)


def not_found() -> GoogleError:
    return GoogleError(404, "notFound", "Not Found")


def not_a_calendar_user() -> GoogleError:
    """The Calendar service is off for this user, or for everybody."""
    message = "The user must be signed up for Google Calendar."
    return GoogleError(403, "notACalendarUser", message)


def auth_error() -> GoogleError:
    return GoogleError(
        401,
        "authError",
        "Invalid Credentials",
        location="Authorization",
        location_type="header",
        headers={"WWW-Authenticate": 'Bearer realm="https://accounts.google.com/"'},
    )


def login_required() -> GoogleError:
    return GoogleError(
        401,
        "required",
        "Login Required.",
        location="Authorization",
        location_type="header",
        headers={"WWW-Authenticate": 'Bearer realm="https://accounts.google.com/"'},
    )


def insufficient_permissions() -> GoogleError:
    message = "Request had insufficient authentication scopes."
    detail = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": "ACCESS_TOKEN_SCOPE_INSUFFICIENT",
        "domain": "googleapis.com",
    }
    return GoogleError(
        403,
        "insufficientPermissions",
        message,
        extra={"status": "PERMISSION_DENIED", "details": [detail]},
        headers={"WWW-Authenticate": 'Bearer error="insufficient_scope"'},
    )


def full_sync_required() -> GoogleError:
    return GoogleError(
        410,
        "fullSyncRequired",
        "Sync token is no longer valid, a full sync is required.",
        location="syncToken",
    )
