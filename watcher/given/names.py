"""Names of settings that nobody knows."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from difflib import get_close_matches

from watcher.errors import sentence

PREFIX = "WATCHER_"
OTHERS = frozenset({"WATCHER_CONFIG", "WATCHER_PARENT_PID", "WATCHER_CHILD_NAME"})
"""Variables of Watcher's that are no settings."""
ALIKE = 0.8


def unknown(names: Iterable[str], known: Collection[str], *, ours: bool) -> list[str]:
    """A sentence for each name that looks like a setting and is none.

    A settings file is all ``ours``. The environment is not: Kubernetes, for one, gives each process
    names such as ``WATCHER_SERVICE_HOST`` for a service called watcher. So a name in it is an error
    only where it is nearly that of a setting.
    """
    short = {name.removeprefix(PREFIX): name for name in known}
    found: list[str] = []
    for name in names:
        if not name.startswith(PREFIX) or name in known or name in OTHERS:
            continue
        meant = get_close_matches(name.removeprefix(PREFIX), short, n=1, cutoff=ALIKE)
        if meant:
            found.append(
                sentence(
                    "unknown setting %(name)s: did you mean %(meant)s?",
                    name=name,
                    meant=short[meant[0]],
                )
            )
        elif ours:
            found.append(
                sentence("unknown setting %(name)s: docs/settings.md lists them all", name=name)
            )
    return found
