"""Imports that wait until a command runs.

``watcher --help``, the help of a command and a shell's Tab need a command's name, its options and
its sentences, and none of SQLAlchemy, Flask and Google's library, which take seconds to load. So a
module of commands names its rooms at its top, as every module does, inside ``with later():``

    with later():
        from watcher.ledger import accounts as ledger

``ledger`` stands for the module from there on, and is loaded when something in it is asked for
(``importlib.util.LazyLoader``). Only whole modules can wait: ``from watcher.services import build``
asks for something in it at once. ``load`` loads whatever still waits: it is called before the body
of a command runs, while there is one thread, because the module of Python 3.11 that waits may be
asked by one thread only.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import LazyLoader
from types import ModuleType

_waiting: list[ModuleType] = []


class _Loader(LazyLoader):
    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        _waiting.append(module)


class _Finder(MetaPathFinder):
    """Finds what the other finders find, and lets it wait. A package is loaded at once, since the
    modules in it are found by it, and so is what belongs to Python, whose LazyLoader needs some of
    it itself."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] in sys.stdlib_module_names:
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        found = (finder.find_spec(fullname, path, target) for finder in others)
        spec = next((spec for spec in found if spec is not None), None)
        if spec is not None and spec.loader and spec.submodule_search_locations is None:
            spec.loader = _Loader(spec.loader)
        return spec


@contextmanager
def later() -> Iterator[None]:
    """Modules that are imported in here for the first time are loaded when they are needed."""
    finder = _Finder()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


def load() -> None:
    """Load what still waits. Modules stay as long as the process, so that the collector, which
    would look through all of them again and again meanwhile, is told to leave them alone."""
    if not _waiting:
        return
    gc.disable()
    try:
        while _waiting:
            vars(_waiting.pop())
    finally:
        gc.freeze()
        gc.enable()
