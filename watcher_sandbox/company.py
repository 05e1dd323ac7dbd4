"""The company of the demo: both stand-ins, the settings of the Watcher between them, and the edits
that are made in Google, each with the time until ERPNext had it."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from watcher_sandbox.erpnext.site import Site
from watcher_sandbox.google import GoogleState

ARRIVAL_SECONDS = 20.0
LOOK_SECONDS = 0.01
KEPT = 60


@dataclass(slots=True)
class Edit:
    """One edit in Google: ``who`` made it, ``what`` it was in words, when, and how many seconds
    later ERPNext had it; None as long as it has not, and ``missed`` when it was given up."""

    who: str
    what: str
    at: datetime = field(default_factory=lambda: datetime.now(UTC))
    seconds: float | None = None
    missed: bool = False


@dataclass
class Company:
    """Both stand-ins, the settings of Watcher, and the folder in which it runs. ``edits`` are the
    last ones, oldest first."""

    google: GoogleState
    site: Site
    environ: dict[str, str]
    data: Path
    edits: deque[Edit] = field(default_factory=lambda: deque(maxlen=KEPT))
    latencies: list[float] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)

    def watcher(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "watcher", "--no-input", *words],
            env=self.environ,
            text=True,
            capture_output=True,
            check=False,
            timeout=120,
        )

    def rows(self, email: str) -> list[dict[str, Any]]:
        return [e for e in self.site.events() if e.get("custom_google_account") == email]

    def edit(
        self, who: str, what: str, change: Callable[[], str], seen: Callable[[str], bool]
    ) -> Edit:
        """Make an edit and wait until ERPNext has it. ``change`` returns what ``seen`` is asked
        with."""
        made = Edit(who, what)
        self.edits.append(made)
        began = time.monotonic()
        subject = change()
        while not seen(subject):
            if time.monotonic() - began > ARRIVAL_SECONDS:
                made.missed = True
                return made
            time.sleep(LOOK_SECONDS)
        made.seconds = time.monotonic() - began
        return made

    def edit_soon(
        self, who: str, what: str, change: Callable[[], str], seen: Callable[[str], bool]
    ) -> threading.Thread:
        """As ``edit``, in a thread of its own."""
        thread = threading.Thread(target=self.edit, args=(who, what, change, seen), daemon=True)
        thread.start()
        return thread
