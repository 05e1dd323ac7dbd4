"""A statement as the database's driver takes it, for what is asked many times a second: by
SQLAlchemy it would be put together anew each time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, Select
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.dml import ReturningUpdate

Query = Select[*tuple[Any, ...]] | ReturningUpdate[*tuple[Any, ...]]
"""Each of them returns rows."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """``order`` is of drivers that take parameters by position; ``converters`` are for parameters
    by name."""

    sql: str
    order: Sequence[str] | None
    constants: Mapping[str, Any]
    converters: Mapping[str, Callable[[Any], Any]]

    @classmethod
    def of(cls, statement: Query, engine: Engine) -> Prepared:
        compiled, dialect = statement.compile(engine), engine.dialect
        assert isinstance(compiled, SQLCompiler)
        found = {
            name: bind.type.dialect_impl(dialect).bind_processor(dialect)
            for bind, name in compiled.bind_names.items()
        }
        converters = {name: convert for name, convert in found.items() if convert}
        order = compiled.positiontup if compiled.positional else None
        return cls(str(compiled), order, dict(compiled.params), converters)

    def given(self, values: Mapping[str, Any]) -> Any:
        """The parameters of one execution, as the driver takes them."""
        named = {**self.constants, **values}
        for name, convert in self.converters.items():
            named[name] = convert(named[name])
        return named if self.order is None else tuple(named[name] for name in self.order)
