"""A company for tests without any process: no queue, settings in this process, the program's
commands called as functions."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.company import Company
from watcher.cli import cli
from watcher.doctor.case import Case, opened
from watcher.doctor.examine import Report, examine
from watcher.doctor.say import Finding
from watcher.doctor.table import CHECKS
from watcher.handlers.app import create_app
from watcher.settings import load
from watcher_sandbox.erpnext.server import Server as WebServer

Patch = pytest.MonkeyPatch


class Shop(Company):
    """A company without a queue, whose settings are those of this process."""

    patch: Patch

    def use(self) -> None:
        """Make the settings those of this process."""
        for name in [name for name in os.environ if name.startswith("WATCHER_")]:
            self.patch.delenv(name)
        for name, value in self.environ.items():
            self.patch.setenv(name, value)
        self.patch.chdir(self.folder)

    def case(self, **changes: Any) -> Iterator[Case]:
        self.use()
        with opened(load(), clock=lambda: self.services.clock()) as case:
            yield replace(case, **changes)

    def look(self, name: str, **changes: Any) -> Finding:
        """What one check finds, alone."""
        for case in self.case(**changes):
            report = examine(case, [check for check in CHECKS if check.name == name])
            return report.findings[name]
        raise AssertionError

    def examine(self) -> Report:
        for case in self.case():
            return examine(case, CHECKS)
        raise AssertionError

    def web(self, port: int | None = None) -> WebServer:
        """Watcher's own web server, in this process."""
        return WebServer(create_app(self.services), "127.0.0.1", port or self.port).start()

    def invoke(self, *words: str, **more: Any) -> Result:
        """``watcher WORDS`` in this process."""
        self.use()
        return CliRunner().invoke(cli, words, prog_name="watcher", standalone_mode=False, **more)
