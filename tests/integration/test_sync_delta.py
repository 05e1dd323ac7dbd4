"""One calendar, one worker's pass: sandbox Google over HTTP, a real ledger, sandbox ERPNext."""

from __future__ import annotations

import pytest

from tests.company import ANN, Company


@pytest.fixture(autouse=True)
def connected(company: Company) -> Company:
    company.setup_erpnext()
    company.google.insert_event(ANN, company.timed(summary="Morning shift"))
    company.add()
    assert company.sync() == "done"
    return company


def test_first_sync_brings_what_is_there(company: Company) -> None:
    assert company.subjects() == ["Morning shift"]
    assert company.mirrored() == company.expected()
