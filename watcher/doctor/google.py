"""Google: the OAuth client and its redirect URI."""

from __future__ import annotations

from watcher.doctor import say
from watcher.doctor.case import TIMEOUT, Case
from watcher.errors import Permanent, Transient
from watcher.google import consent
from watcher.services import endpoints

_CONSOLE = "https://console.cloud.google.com/apis/credentials"


def client(case: Case) -> say.Finding:
    """Google knows the OAuth client and its secret: asked for tokens with a code that nobody was
    given, it refuses the code and not the client."""
    settings = case.settings
    if not settings.google_client_id:
        return say.skip(say.sentence("no OAuth client is set: nobody can connect by consent"))
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
        return say.away(error.message, say.REACH)
    return say.warn(
        say.sentence("Google took a code that nobody was given"),
        say.sentence("check WATCHER_GOOGLE_TOKEN_URL"),
    )


def _judged(case: Case, error: Permanent) -> say.Finding:
    if error.cause == "invalid_grant":
        return say.ok(say.sentence("Google knows the OAuth client and its secret"))
    if error.cause == "redirect_uri_mismatch":
        return _unregistered(case)
    step = error.next_step
    if step in ("", consent.AGAIN):  # that is for the employee who has just consented
        step = consent.CHECK_CLIENT
    return say.denied(error.message, say.joined(" ", step, _CONSOLE))


def redirect(case: Case) -> say.Finding:
    """The redirect URI is registered: else Google shows an error in place of its consent page."""
    settings = case.settings
    if not settings.google_client_id or not settings.public_url:
        return say.skip(say.sentence("no OAuth client is set"))
    word = consent.refused_at_once(endpoints(settings), settings.callback_url, TIMEOUT)
    if word == "redirect_uri_mismatch":
        return _unregistered(case)
    if word:
        error = consent.callback_error(word)
        return say.denied(error.message, say.joined(" ", error.next_step, _CONSOLE))
    return say.ok(
        say.sentence("Google shows its consent page for %(url)s", url=settings.callback_url)
    )


def _unregistered(case: Case) -> say.Finding:
    return say.denied(
        say.sentence("Google does not know our redirect URI"),
        say.sentence(
            "register exactly %(url)s at the OAuth client: %(console)s",
            url=case.settings.callback_url,
            console=_CONSOLE,
        ),
    )
