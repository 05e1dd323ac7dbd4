"""The address of the queue: one Redis or Valkey, or the Sentinels that know which one leads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from watcher.errors import sentence

SINGLE = ("redis", "rediss", "unix")
SENTINEL = ("redis-sentinel", "rediss-sentinel")
SENTINEL_PORT = 26379
EXAMPLE = "redis-sentinel://:password@host1,host2,host3/0?master=mymaster"


@dataclass(frozen=True, slots=True)
class Sentinels:
    """``login`` is for the Redis that leads, ``own_login`` for the Sentinels; ``tls`` is for both,
    with further options of redis-py's connections such as ``ssl_ca_certs`` in ``options``."""

    hosts: Sequence[tuple[str, int]]
    master: str
    database: int
    login: Mapping[str, str]
    own_login: Mapping[str, str]
    tls: bool
    options: Mapping[str, str]


def checked(value: str) -> str:
    """Raises ``ValueError`` for an address that no queue can have."""
    if value and not value.startswith(tuple(f"{scheme}://" for scheme in SINGLE)):
        sentinels(value)
    elif value.startswith(("redis://", "rediss://")):
        try:
            cut = urlsplit(value).port is not None and bool(urlsplit(value).fragment)
        except ValueError:  # what stands before the sign was taken for the port
            cut = True
        if cut:
            raise ValueError(
                sentence("has a password in which # is to be %23, / is %2F and ? is %3F")
            )
    return value


def sentinels(value: str) -> Sentinels | None:
    """None for the address of a single Redis. Raises ``ValueError``."""
    parts = urlsplit(value)
    if parts.scheme in SINGLE:
        return None
    if parts.scheme not in SENTINEL:
        known = ", ".join(f"{scheme}://" for scheme in SINGLE + SENTINEL)
        raise ValueError(sentence("must begin with one of %(known)s", known=known))
    options = dict(parse_qsl(parts.query))
    master = options.pop("master", "")
    login, _, hosts = parts.netloc.rpartition("@")
    database = parts.path.strip("/") or "0"
    if not master or not hosts or not database.isdecimal():
        raise ValueError(
            sentence(
                "must name the Sentinels and the master they watch, as in %(example)s",
                example=EXAMPLE,
            )
        )
    own = {name: options.pop(f"sentinel_{name}", "") for name in ("username", "password")}
    return Sentinels(
        hosts=[_host(host, parts) for host in hosts.split(",")],
        master=master,
        database=int(database),
        login=_login(login),
        own_login={name: value for name, value in own.items() if value},
        tls=parts.scheme.startswith("rediss"),
        options=options,
    )


def _login(text: str) -> dict[str, str]:
    name, _, password = text.partition(":")
    found = {"username": unquote(name), "password": unquote(password)}
    return {key: value for key, value in found.items() if value}


def _host(text: str, parts: SplitResult) -> tuple[str, int]:
    one = urlsplit(f"{parts.scheme}://{text}")
    if not one.hostname:
        raise ValueError(
            sentence(
                "names no host in one place between the commas, unlike %(example)s",
                example=EXAMPLE,
            )
        )
    return one.hostname, one.port or SENTINEL_PORT  # ``.port`` raises when it is no number
