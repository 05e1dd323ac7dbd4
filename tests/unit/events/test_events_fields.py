"""The table of mirrored fields: what holds for every row of it, also for one that is added."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.events.build import event, held, rules
from watcher.erpnext.copies import is_readable_version
from watcher.erpnext.rows import conclusion, row_of
from watcher.events.compare import detail
from watcher.events.fields import FIELDS, OPTIONAL, TEXTS, WRITTEN, Field, document, is_readable
from watcher.events.mapping import to_erpnext
from watcher.events.model import USUAL, Cancel, ErpEvent, Masks, Row

EVERY = frozenset(OPTIONAL)
IDS = [field.name for field in FIELDS]
each = pytest.mark.parametrize("field", FIELDS, ids=IDS)


def sent(**changes: Any) -> ErpEvent:
    result = to_erpnext(event(**changes), rules(site_fields=EVERY, employee="HR-1"))
    assert isinstance(result, ErpEvent)
    return result


def read_back(written: ErpEvent) -> Row:
    return row_of({"name": "EV-1", **document(written)}, USUAL)


def with_another(field: Field, row: Row) -> Row:
    """The row after somebody wrote something else into the field."""
    changed: Any = "2026-01-01 00:00:00" if field.name.endswith("_on") else "Meddled"
    if isinstance(field.held(row), bool):
        changed = not field.held(row)
    if field.optional:
        return replace(row, extras={**row.extras, field.name: changed})
    return replace(row, **{field.name: changed})


def test_a_row_that_is_read_back_is_as_it_was_sent() -> None:
    assert detail(sent(), read_back(sent())) == ""


@each
def test_a_field_that_somebody_writes_is_named(field: Field) -> None:
    words = list(field.differs) or [field.hashed_as]
    assert detail(sent(), with_another(field, read_back(sent()))).split(", ")[0] == words[0]


@each
def test_a_field_is_written_read_and_in_the_hash(field: Field) -> None:
    assert field.name in document(sent())
    assert field.name in WRITTEN
    assert field.held(read_back(sent())) is not None


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_that_could_be_read_is_found_and_masked(name: str) -> None:
    field = FIELDS[IDS.index(name)]
    masked = read_back(sent(visibility="private"))
    assert not is_readable(masked)
    assert is_readable(with_another(field, masked))
    cancel = Cancel(name="EV-1", key="k", event_id="e", reason="private", mask=True)
    assert conclusion(cancel, EVERY)[name] in ("Busy", "")
    assert is_readable_version(f'{{"changed": [["{name}", "Meddled", "Busy"]]}}', USUAL)


def test_a_former_title_of_private_events_stays_one() -> None:
    """The subjects that stand for a title, and what Frappe's history says of their change."""
    masks = Masks("Besetzt", "Privat", frozenset({"Beschäftigt"}))
    row = read_back(sent(visibility="private"))
    for subject in ("Besetzt", "Privat", "Beschäftigt", "Busy", "Private"):
        assert not is_readable(replace(row, subject=subject, masks=masks))
        assert not is_readable_version(f'{{"changed": [["subject", "Busy", "{subject}"]]}}', masks)
    assert is_readable(replace(row, subject="Beschäftigt", masks=USUAL))
    assert is_readable_version('{"changed": [["subject", "Doctor", "Besetzt"]]}', masks)
    cancel = Cancel(name="EV-1", key="k", event_id="e", reason="private", mask=True)
    assert conclusion(cancel, EVERY, masks)["subject"] == "Besetzt"


@pytest.mark.parametrize("name", OPTIONAL)
def test_a_field_that_the_site_lacks_is_neither_written_nor_compared(name: str) -> None:
    without = EVERY - {name}
    lacking = to_erpnext(event(), rules(site_fields=without, employee="HR-1"))
    assert isinstance(lacking, ErpEvent)
    assert name not in document(lacking)
    assert lacking.content_hash != sent().content_hash
    assert name not in conclusion(
        Cancel(name="EV-1", key="k", event_id="e", reason="private", mask=True), without
    )
    assert detail(lacking, held(lacking)) == detail(sent(), held(lacking)) == ""
