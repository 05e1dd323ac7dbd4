"""Google's error documents (guides/errors of the Calendar API)."""

from __future__ import annotations


class ApiError(Exception):
    """An answer other than 2xx; ``status`` and ``reason`` as Google gives them."""

    def __init__(
        self, status: int, reason: str, message: str = "", domain: str = "calendar"
    ) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason
        self.message, self.domain = message or reason, domain

    def document(self) -> dict[str, object]:
        detail = {"domain": self.domain, "reason": self.reason, "message": self.message}
        return {"error": {"code": self.status, "message": self.message, "errors": [detail]}}


def bad_request(reason: str, message: str = "") -> ApiError:
    return ApiError(400, reason, message)


def not_found() -> ApiError:
    return ApiError(404, "notFound", "Not Found", "global")
