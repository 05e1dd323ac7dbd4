"""Alembic, for a ledger that is not of this version: loaded by ``Database.migrate`` when needed."""

from __future__ import annotations

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from watcher.ledger.db import MIGRATIONS


def config() -> Config:
    """Where the migrations are."""
    found = Config()
    found.set_main_option("script_location", str(MIGRATIONS))
    return found


def upgrade(connection: Connection) -> None:
    """Carry out on ``connection`` what its ledger lacks."""
    to_newest = config()
    to_newest.attributes["connection"] = connection
    command.upgrade(to_newest, "head")
