"""Each reason to leave an event out has words."""

from __future__ import annotations

import ast
import inspect

from watcher.events import mapping
from watcher.explain import words

WITH_WORDS_OF_THEIR_OWN = {"event_type", "outside_window"}
"""Said with what is known of the event."""


def test_every_reason_to_leave_an_event_out_has_words() -> None:
    tree = ast.parse(inspect.getsource(mapping._skip_reason))
    returned = [node.value for node in ast.walk(tree) if isinstance(node, ast.Return)]
    reasons = {each.value for each in returned if isinstance(each, ast.Constant)} - {""}
    assert len(reasons) >= 4
    assert reasons <= set(words.LEFT_OUT) | WITH_WORDS_OF_THEIR_OWN
