"""The names of all tables of a ledger of this version, for what drops them."""

from __future__ import annotations

import importlib
import pkgutil

from watcher import ledger
from watcher.ledger.models import Base

VERSION_TABLE = "alembic_version"


def names() -> frozenset[str]:
    """Of each table that a module of this room declares: most are in ``models``, and those that are
    not are known only once their module is loaded."""
    for module in pkgutil.iter_modules(ledger.__path__, f"{ledger.__name__}."):
        if not module.ispkg:
            importlib.import_module(module.name)
    return frozenset({*Base.metadata.tables, VERSION_TABLE})
