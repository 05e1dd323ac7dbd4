"""What the checks look at: the settings, and what can be made of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from requests.utils import DEFAULT_CA_BUNDLE_PATH

from watcher.erpnext.client import ErpNextClient
from watcher.errors import UserError, sentence
from watcher.ledger import presence
from watcher.ledger.document import Status
from watcher.ledger.overview import look
from watcher.services import Clock, Ledger, Services, build, utc_now
from watcher.settings import LOOPBACK, Loaded, Settings, require

CONNECT_SECONDS, READ_SECONDS = 2.0, 2.5
NOWHERE = Path("/nonexistent")
"""A folder in which there is no settings file."""
TIMEOUT = (CONNECT_SECONDS, READ_SECONDS)


@dataclass(frozen=True)
class Case:
    """``services`` is None where the settings do not suffice to make them; ``unmade`` says why.
    ``ca_file`` holds the certificate authorities that are trusted: those of the public internet,
    whatever this machine trusts besides, since Google knows no others."""

    loaded: Loaded
    services: Services | None
    unmade: str = ""
    clock: Clock = utc_now
    ca_file: str = DEFAULT_CA_BUNDLE_PATH

    @property
    def settings(self) -> Settings:
        return self.loaded.settings

    @property
    def made(self) -> Services:
        """Raises ``UserError`` where the settings do not suffice."""
        if self.services is None:
            raise UserError(self.unmade, next_step="watcher init")
        return self.services

    @property
    def now(self) -> datetime:
        return self.clock()

    @property
    def public(self) -> SplitResult:
        return urlsplit(self.settings.public_url)

    @property
    def is_local(self) -> bool:
        """The public address is this machine's own, as in a trial with stand-ins."""
        return self.public.hostname in LOOPBACK

    def first_start(self) -> datetime | None:
        """When the oldest of the processes that run on this machine was started."""
        with self.made.db.reading() as session:
            rows = presence.here(session, presence.this_host(), self.now)
            return min((row.started_at for row in rows), default=None)

    def erpnext(self) -> ErpNextClient:
        """A client of its own for each check: they run at the same time. Raises ``UserError``."""
        settings = self.settings
        require(
            settings,
            "erpnext_url",
            "erpnext_api_key",
            "erpnext_api_secret",
            why=sentence("writing to ERPNext"),
        )
        return ErpNextClient(
            settings.erpnext_url,
            settings.erpnext_api_key,
            settings.erpnext_api_secret.get_secret_value(),
            timeout=TIMEOUT,
        )

    @cached_property
    def status(self) -> Status:
        """What ``watcher status`` shows. Raises ``LedgerAway``."""
        return look(self.made)


@contextmanager
def opened(loaded: Loaded, clock: Clock = utc_now) -> Iterator[Case]:
    """The case of an installation; the ledger is neither made nor migrated."""
    try:
        services = build(loaded.settings, clock=clock, ledger=Ledger.AS_IT_IS)
    except UserError as error:
        yield Case(loaded, None, error.message, clock)
        return
    try:
        yield Case(loaded, services, "", clock)
    finally:
        services.db.dispose()
