"""To Google's consent page, and back: what goes along is in the browser's own cookie, encrypted."""

from __future__ import annotations

from flask import session

from watcher.google import consent
from watcher.handlers.context import services
from watcher.ledger import connect
from watcher.services import endpoints

CONSENTS = "consents"
MOST_CONSENTS = 3
"""So many tabs of one browser may be at Google at a time; a cookie holds 4 KB."""


def away(
    purpose: str, scopes: tuple[str, ...], email: str | None, invitation_id: str | None
) -> str:
    """The address of Google's page for a ``purpose`` of ``connect.Flow``. Without an address
    (``email``) Google shows its list of accounts first."""
    app = services()
    begun = connect.begin_flow(
        app.keyring, purpose=purpose, now=app.clock(), invitation_id=invitation_id
    )
    session[CONSENTS] = [*session.get(CONSENTS, []), begun.sealed][-MOST_CONSENTS:]
    wanted = consent.ConsentRequest(
        state=begun.state,
        code_challenge=consent.code_challenge(begun.verifier),
        redirect_uri=app.settings.callback_url,
        login_hint=email,
        scopes=scopes,
        nonce=begun.nonce,
        lasting=purpose == "connect",
        choose=email is None,
    )
    return consent.authorization_url(endpoints(app.settings), wanted)


def back(state: str) -> connect.Flow | None:
    """The consent of this state that the browser's cookie keeps, which forgets it."""
    app = services()
    for sealed in session.get(CONSENTS, []):
        flow = connect.open_flow(app.keyring, sealed, state=state, now=app.clock())
        if flow is not None:
            session[CONSENTS] = [kept for kept in session[CONSENTS] if kept != sealed]
            return flow
    return None
