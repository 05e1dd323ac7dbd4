"""The database's clock, by which processes on several machines agree."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Float
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction


class epoch_now(GenericFunction[float]):
    """Epoch seconds at this moment, also within a transaction that began earlier."""

    type = Float()
    inherit_cache = True


@compiles(epoch_now, "sqlite")
def _on_sqlite(_element: epoch_now, _compiler: SQLCompiler, **_options: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(epoch_now, "postgresql")
def _on_postgresql(_element: epoch_now, _compiler: SQLCompiler, **_options: Any) -> str:
    return "CAST(extract(epoch FROM clock_timestamp()) AS DOUBLE PRECISION)"
