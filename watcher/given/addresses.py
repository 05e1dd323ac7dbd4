"""Addresses that are set: what is wrong with one."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_network
from urllib.parse import SplitResult, urlsplit

from watcher.errors import sentence

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def checked(value: str) -> str:
    """An http or https address without a slash at its end. Raises ``ValueError``."""
    value = value.strip().rstrip("/")
    if not value:
        return value
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError:  # a port that is none, or brackets that hold no IPv6 address
        raise ValueError(sentence("has a port or an IPv6 address that is none")) from None
    if parts.scheme not in ("http", "https") or not host:
        raise ValueError(sentence("must be an http or https address"))
    if parts.username or parts.password:
        raise ValueError(sentence("must not carry a user name or password"))
    if any(each.isspace() for each in value):
        raise ValueError(sentence("must not have a space in it"))
    if host.endswith("."):
        # DNS takes it, but Google compares addresses letter by letter, and so does a browser.
        raise ValueError(sentence("must have no dot behind the host's name"))
    return value


def bare(value: str, why: str) -> None:
    """Raises ``ValueError`` for an address with anything behind the host and port."""
    parts = urlsplit(value)
    if parts.path or parts.query or parts.fragment:
        raise ValueError(
            sentence("must end with the host: %(root)s (%(why)s)", root=_root(parts), why=why)
        )


def _root(parts: SplitResult) -> str:
    return f"{parts.scheme}://{parts.netloc}"


def public(value: str) -> None:
    """Raises ``ValueError`` for an address that Google does not push to."""
    parts = urlsplit(value)
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise ValueError(
            sentence("must be https (Google pushes to https only); http is for loopback")
        )


def of_kind(value: str, kinds: tuple[str, str]) -> None:
    """Raises ``ValueError`` for what is no address of one of two schemes; nothing at all is one."""
    try:
        parts = urlsplit(value)
        fits = not value or (parts.scheme in kinds and parts.hostname and (parts.port or 1))
    except ValueError:  # ``.port`` raises it when the port is no number
        fits = False
    if not fits:
        raise ValueError(
            sentence(
                "must be an address that begins with %(one)s:// or %(other)s://",
                one=kinds[0],
                other=kinds[1],
            )
        )


def of_mailboxes(values: Iterable[str], kind: str = sentence("addresses")) -> None:
    """Raises ``ValueError`` for what is no mail address: a list with semicolons, or a mere name,
    would let nobody in and say nothing."""
    for value in values:
        name, _, domain = value.rpartition("@")
        if not name or not domain or set(value) & set(" ;<>"):
            raise ValueError(
                sentence(
                    "must be %(kind)s with commas between them, unlike %(value)s",
                    kind=kind,
                    value=value,
                )
            )


def of_mailboxes_or_domains(values: Iterable[str]) -> None:
    """As ``of_mailboxes``, and ``@example.com`` stands for everybody there."""
    alike = (f"all{value}" if value.startswith("@") else value for value in values)
    of_mailboxes(alike, sentence("addresses or @domains"))


def networks(values: Iterable[str]) -> list[IPv4Network | IPv6Network]:
    """IP addresses and networks such as ``10.0.0.0/8``. Raises ``ValueError``."""
    try:
        return [ip_network(value) for value in values]
    except ValueError as error:
        raise ValueError(
            sentence(
                "must be IP addresses or networks such as 10.0.0.0/8: %(error)s", error=str(error)
            )
        ) from None
