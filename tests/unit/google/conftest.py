"""Fixtures of the Google room's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.unit.google.scripted_google import Scripted


@pytest.fixture
def google() -> Iterator[Scripted]:
    server = Scripted()
    yield server
    server.close()
