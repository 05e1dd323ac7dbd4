"""The public address, tried from this machine: Google's notifications come by it, and employees.

It is asked for an answer that only this installation's keys can give, so that neither another
program nor another Watcher is taken for it. What is sent is a random number, and no secret.
"""

from __future__ import annotations

import secrets
import ssl
from dataclasses import dataclass
from enum import Enum, auto
from urllib.parse import urlsplit

import requests
from requests.utils import DEFAULT_CA_BUNDLE_PATH

from watcher import errors
from watcher.ledger.secrets import PROOF_HEADER, Keyring

TIMEOUT = (2.0, 2.5)
"""Seconds until there is a connection, and until it answers."""
_NO_NAME = ("NameResolutionError", "gaierror")
LONG_ENOUGH = 200
"""Bytes that are read of an answer: the right one has 65."""


class Who(Enum):
    """Who has answered."""

    THIS = auto()
    NOBODY = auto()
    PROXY = auto()
    """A proxy that does not reach Watcher behind it."""
    ANOTHER = auto()


@dataclass(frozen=True, slots=True)
class Answer:
    """What was found, and what to do about it: sentences, where it is not ``Who.THIS``."""

    who: Who
    message: str
    step: str = ""


def asked(url: str, keyring: Keyring, ca_file: str = DEFAULT_CA_BUNDLE_PATH) -> Answer:
    """Send what a notification would be to ``url``. ``ca_file`` holds the authorities that are
    trusted: by default those of the public internet, whatever this machine trusts besides, since
    Google knows no others."""
    number = secrets.token_hex(16)
    try:
        with requests.post(
            url,
            headers={PROOF_HEADER: number},
            timeout=TIMEOUT,
            verify=ca_file,
            allow_redirects=False,
            stream=True,
        ) as answer:
            text = answer.raw.read(LONG_ENOUGH, decode_content=True).decode("ascii", "replace")
    except (requests.RequestException, OSError) as error:
        return _nobody(url, error)
    if answer.status_code == 200 and keyring.proves(number, text.strip()):
        return Answer(Who.THIS, errors.sentence("%(url)s leads to this Watcher", url=url))
    return _somebody_else(url, answer.status_code)


def _nobody(url: str, error: Exception) -> Answer:
    host = urlsplit(url).hostname or ""
    chain = errors.innermost_first(error)
    refused = [e for e in chain if isinstance(e, ssl.SSLCertVerificationError)]
    if refused:
        said = errors.sentence(
            "the certificate of %(host)s is refused: %(reason)s",
            host=host,
            reason=refused[0].verify_message,
        )
        step = errors.sentence(
            "renew the certificate of %(host)s (certbot renew), and give the proxy its whole chain "
            "(fullchain.pem)",
            host=host,
        )
        return Answer(Who.NOBODY, said, step)
    why = errors.why_unreached(error)
    said = errors.sentence("nothing answers at %(url)s (%(reason)s)", url=url, reason=why)
    step = errors.sentence(
        "see that the proxy or the tunnel runs and listens there, and that the firewall lets it "
        "through"
    )
    if any(type(each).__name__ in _NO_NAME for each in chain):
        step = errors.sentence(
            "add a DNS record for %(host)s, or correct WATCHER_PUBLIC_URL", host=host
        )
    return Answer(Who.NOBODY, said, step)


def _somebody_else(url: str, status: int) -> Answer:
    """What has answered in our place, as far as its status tells."""
    if status in (502, 503, 504):
        return Answer(
            Who.PROXY,
            errors.sentence(
                "the proxy answers, and does not reach Watcher behind it (%(status)s)",
                status=status,
            ),
            errors.sentence("start `watcher up`, or correct the port in the proxy's configuration"),
        )
    if 300 <= status < 400:
        return Answer(
            Who.ANOTHER,
            errors.sentence("%(url)s is redirected, and Google follows no redirect", url=url),
            errors.sentence("set WATCHER_PUBLIC_URL to the address that answers by itself"),
        )
    if status == 200:
        return Answer(
            Who.ANOTHER,
            errors.sentence("another Watcher, or another program, answers at %(url)s", url=url),
            errors.sentence(
                "see that the proxy leads to this installation, and that its processes have the "
                "same WATCHER_SECRET_KEYS and version"
            ),
        )
    return Answer(
        Who.ANOTHER,
        errors.sentence("something else answers at %(url)s (%(status)s)", url=url, status=status),
        errors.sentence(
            "correct the proxy: `POST /webhooks/google` goes to Watcher's port (deploy/README.md)"
        ),
    )
