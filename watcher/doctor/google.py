"""Google: the OAuth client and its redirect URI."""

from __future__ import annotations

from watcher.doctor import say
from watcher.doctor.case import TIMEOUT, Case
from watcher.errors import Permanent, Transient
from watcher.google import consent
from watcher.services import endpoints

_REACH = "see that this machine may open connections to it, and the proxy settings"
_CONSOLE = "https://console.cloud.google.com/apis/credentials"


def client(case: Case) -> say.Finding:
    """Google knows the OAuth client and its secret: asked for tokens with a code that nobody was
    given, it refuses the code and not the client."""
    settings = case.settings
    if not settings.google_client_id:
        return say.skip("no OAuth client is set: nobody can connect by consent")
    made_up = consent.AuthorizationCode(
        code="4/0-made-up-by-watcher-doctor",
        verifier=consent.new_code_verifier(),
        redirect_uri=settings.callback_url,
    )
    try:
        consent.exchange(endpoints(settings), made_up, TIMEOUT)
    except Permanent as error:
        return _judged(case, error)
    except Transient as error:
        return say.away(error.message, _REACH)
    return say.warn("Google took a code that nobody was given", "check WATCHER_GOOGLE_TOKEN_URL")


def _judged(case: Case, error: Permanent) -> say.Finding:
    if error.cause == "invalid_grant":
        return say.ok("Google knows the OAuth client and its secret")
    if error.cause == "redirect_uri_mismatch":
        return _unregistered(case)
    step = error.next_step
    if step in ("", consent.AGAIN):  # that is for the employee who has just consented
        step = "Check WATCHER_GOOGLE_CLIENT_ID and WATCHER_GOOGLE_CLIENT_SECRET."
    return say.denied(error.message, f"{step} {_CONSOLE}")


def redirect(case: Case) -> say.Finding:
    """The redirect URI is registered: else Google shows an error in place of its consent page."""
    settings = case.settings
    if not settings.google_client_id or not settings.public_url:
        return say.skip("no OAuth client is set")
    word = consent.refused_at_once(endpoints(settings), settings.callback_url, TIMEOUT)
    if word == "redirect_uri_mismatch":
        return _unregistered(case)
    if word:
        error = consent.callback_error(word)
        return say.denied(error.message, f"{error.next_step} {_CONSOLE}")
    return say.ok(f"Google shows its consent page for {settings.callback_url}")


def _unregistered(case: Case) -> say.Finding:
    return say.denied(
        "Google does not know our redirect URI",
        f"register exactly {case.settings.callback_url} at the OAuth client: {_CONSOLE}",
    )
