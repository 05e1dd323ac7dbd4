"""One call of a whitelisted method: who calls, with what."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from watcher_sandbox.erpnext.db import Row
from watcher_sandbox.erpnext.errors import FrappeError, Message
from watcher_sandbox.erpnext.site import Site


@dataclass(kw_only=True, slots=True)
class Call:
    """One call of a method: who calls, with what; ``messages`` go into ``_server_messages``."""

    site: Site
    user: str
    params: Mapping[str, Any]
    verb: str = "POST"
    method: str = ""
    messages: list[Message] = field(default_factory=list)

    def text(self, name: str) -> str:
        """A parameter that must be there. Raises 500 as Python does for a missing argument."""
        value = self.params.get(name)
        if value in (None, ""):
            raise self.lacks(name)
        return str(value)

    def lacks(self, name: str) -> FrappeError:
        """What Python says about an argument that is not there."""
        function = self.method.rpartition(".")[2]
        text = f"{function}() missing 1 required positional argument: '{name}'"
        return FrappeError(500, "TypeError", text, module="")

    def value(self, name: str) -> Any:
        """A parameter that may be a JSON string."""
        return decoded(self.params.get(name))


Method = Callable[[Call], Any]


def decoded(value: Any) -> Any:
    """Containers come as JSON strings mostly; anything else is left as it is."""
    if isinstance(value, str) and value.strip()[:1] in ("[", "{"):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def without_nulls(row: Row) -> Row:
    return {name: value for name, value in row.items() if value is not None}
