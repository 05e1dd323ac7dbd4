"""The public address, tried from this machine: by it Google's notifications come, and employees."""

from __future__ import annotations

import ipaddress
import socket
import ssl
from datetime import UTC, datetime, timedelta
from urllib.robotparser import RobotFileParser

import requests

from watcher.channels.address import Who, asked
from watcher.doctor import say
from watcher.doctor.case import CONNECT_SECONDS, TIMEOUT, Case

GOOGLES_AGENT = "APIs-Google"
ENDS_SOON = timedelta(days=14)
"""Or a quarter of its life, for those that are made for some weeks or days only."""
_UNSET = say.sentence("%(setting)s is not set", setting="WATCHER_PUBLIC_URL")
_LOCAL = say.sentence(
    "WATCHER_PUBLIC_URL is this machine's own: Google cannot reach it, stand-ins can"
)


def dns(case: Case) -> say.Finding:
    """The name has an address that the internet can reach."""
    host = case.public.hostname
    if not host:
        return say.skip(_UNSET)
    if case.is_local:
        return say.ok(_LOCAL)
    try:
        found = socket.getaddrinfo(host, case.public.port or 443, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return say.missing(
            say.sentence("DNS knows no address of %(host)s", host=host),
            say.sentence("add a DNS record for %(host)s, or correct WATCHER_PUBLIC_URL", host=host),
        )
    addresses = list(dict.fromkeys(str(each[4][0]) for each in found))
    if not any(ipaddress.ip_address(each.partition("%")[0]).is_global for each in addresses):
        return say.warn(
            say.sentence(
                "%(host)s is %(addresses)s here, which Google cannot reach",
                host=host,
                addresses=say.listed(addresses),
            ),
            say.sentence(
                "ask from outside, e.g. https://dns.google/resolve?name=%(host)s: the answer must "
                "be a public address",
                host=host,
            ),
        )
    return say.ok(
        say.sentence("%(host)s is %(addresses)s", host=host, addresses=say.listed(addresses))
    )


def certificate(case: Case) -> say.Finding:
    """A chain that leads to an authority which Google knows, the right name, and time left."""
    host, port = case.public.hostname or "", case.public.port or 443
    if case.public.scheme != "https":
        return say.skip(_LOCAL if host else _UNSET)
    context = ssl.create_default_context(cafile=case.ca_file)
    try:
        with (
            socket.create_connection((host, port), timeout=CONNECT_SECONDS) as raw,
            context.wrap_socket(raw, server_hostname=host) as tls,
        ):
            shown = tls.getpeercert() or {}
    except ssl.SSLCertVerificationError as error:
        return say.fail(
            say.sentence(
                "the certificate of %(host)s is refused: %(said)s",
                host=host,
                said=error.verify_message,
            ),
            say.sentence(
                "give the proxy a certificate of a public authority with its whole chain "
                "(fullchain.pem), e.g. by certbot or Caddy; Google pushes to no other"
            ),
        )
    except OSError as error:
        return _unreachable(case, error)
    first, last = (_moment(str(shown.get(name))) for name in ("notBefore", "notAfter"))
    return _time_left(host, first, last, case.now)


def _moment(text: str) -> datetime:
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(text), UTC)


def _time_left(host: str, began: datetime, ends: datetime, now: datetime) -> say.Finding:
    if ends - now < min(ENDS_SOON, (ends - began) / 4):
        return say.warn(
            say.sentence("the certificate of %(host)s ends on %(day)s", host=host, day=ends.date()),
            say.sentence("renew it (certbot renew), and see that renewing is done by itself"),
        )
    return say.ok(say.sentence("trusted, until %(day)s", day=ends.date()))


def _unreachable(case: Case, error: Exception) -> say.Finding:
    return say.away(
        say.sentence(
            "nothing answers at %(url)s (%(reason)s)",
            url=case.settings.public_url,
            reason=say.why_unreached(error),
        ),
        say.sentence(
            "see that the proxy runs and listens there, and that the firewall lets it through"
        ),
    )


def route(case: Case) -> say.Finding:
    """A notification sent to the public address reaches our own web process, and neither another
    program nor another Watcher."""
    if not case.settings.public_url:
        return say.skip(_UNSET)
    found = asked(case.settings.notification_url, case.made.keyring, case.ca_file)
    if found.who is Who.THIS:
        return say.ok(found.message)
    says = say.fail if found.who is Who.ANOTHER else say.away
    return says(found.message, found.step)


def robots(case: Case) -> say.Finding:
    """Google's pushes obey robots.txt: one that forbids them silences every channel."""
    if case.is_local or not case.public.hostname:
        return say.skip(_LOCAL if case.is_local else _UNSET)
    try:
        answer = requests.get(
            f"{case.settings.public_url}/robots.txt", timeout=TIMEOUT, verify=case.ca_file
        )
    except (requests.RequestException, OSError) as error:
        return _unreachable(case, error)
    do = say.sentence("let the proxy serve no /robots.txt of its own: Watcher's allows everything")
    if answer.status_code >= 500:
        said = say.sentence(
            "/robots.txt is answered with %(status)s", status=str(answer.status_code)
        )
        return say.warn(said, do)
    return _may_push(case, answer.text if answer.ok else "", do)


def _may_push(case: Case, text: str, do: str) -> say.Finding:
    rules = RobotFileParser()
    rules.parse(text.splitlines())
    if not rules.can_fetch(GOOGLES_AGENT, case.settings.notification_url):
        return say.fail(
            say.sentence("/robots.txt forbids %(agent)s to push", agent=GOOGLES_AGENT), do
        )
    return say.ok(say.sentence("/robots.txt lets %(agent)s through", agent=GOOGLES_AGENT))
