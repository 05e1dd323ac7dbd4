"""What Watcher shows in the Desk, said in the languages that Watcher knows: rows of Frappe's
``Translation``. A Desk user with one of these languages then reads the labels of Watcher's fields,
the lines of the form and what its scripts say in the own language; for all others nothing changes.

A row holds for its source text on the whole site. So the texts are Watcher's own sentences; a label
that another document type may have, too, has the document type as its context, by which Frappe
looks labels up. Each row bears a mark with a digest of what Watcher wrote: one that somebody has
changed since is theirs, and so is a text for which the site has a row of its own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from watcher.erpnext.client import ErpNextClient
from watcher.languages.catalogs import LANGUAGES, N_, words

DOCTYPE = "Translation"
FROM_CALENDAR = N_(
    "Mirrored from the Google Calendar of {0}: change it there, what is changed here is "
    "overwritten."
)
OPEN = N_("Open in Google Calendar")
NOT_CURRENT = N_(
    "The calendar of {0} is not kept current here since {1}: what stands here may be out of date. "
    "Ask them, or who looks after Watcher."
)
NOT_MOVED = N_("This event is mirrored from a Google Calendar: move it there.")
SAID: dict[str, str] = {
    **dict.fromkeys((FROM_CALENDAR, OPEN, NOT_CURRENT, NOT_MOVED), ""),
    N_("Mirrored from Google"): "",
    N_("Google Calendar of"): "",
    N_("Not kept current since"): "",
    N_("Google Sync Key"): "",
    N_("Google Event ID"): "",
    N_("Google Recurring Event ID"): "",
    N_("Google Content Hash"): "",
    N_("Google Calendar ID"): "Event",
    N_("Google Account"): "Event",
    N_("Synced From"): "Event",
}
"""Each text, and its context in Frappe; empty for none. ``{0}`` is what Frappe puts in."""
_MARK = "contribution_docname"
"""A field of Translation that nothing shows; Frappe kept the name of a proposal to its makers in
it once."""
_MARKED = "Watcher "


@dataclass(kw_only=True, slots=True)
class Wording:
    """What there is, and what brings it nearer to what is wanted. ``whole``: nothing has to be
    done; ``by_hand`` says what is not Watcher's, in sentences; ``ours`` are rows as Watcher wrote
    them, by their names."""

    client: ErpNextClient
    ours: dict[str, dict[str, Any]] = field(default_factory=dict)
    missing: list[dict[str, Any]] = field(default_factory=list)
    needless: list[str] = field(default_factory=list)
    by_hand: list[str] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        return not self.missing and not self.needless

    def make(self) -> None:
        """Write what is missing, and take away what is needless: rows of an earlier version of
        Watcher's, or beside one of the site's own."""
        self.remove(self.needless)
        if self.missing:
            self.client.insert_many(self.missing)

    def remove(self, names: list[str] | None = None) -> None:
        """Delete these rows; all of Watcher's without ``names``."""
        for name in list(self.ours) if names is None else names:
            self.client.delete(DOCTYPE, name)


def look(client: ErpNextClient) -> Wording:
    """Compare the site with what is wanted; changes nothing. Only languages that the site has
    are wanted. Raises ``ErpForbidden`` without System Manager."""
    found = Wording(client=client)
    theirs: dict[tuple[str, str, str], str] = {}
    for row in _rows(client):
        if row[_MARK] == _mark(row):
            found.ours[row["name"]] = row
        else:
            theirs[_place(row)] = row["translated_text"]
    wanted = {_place(each): each for each in _wanted(client)}
    for place, text in theirs.items():
        if place in wanted:
            found.by_hand.append(f"“{place[1]}” is “{text}” in {LANGUAGES[place[0]]}")
    kept = set()
    for name, row in found.ours.items():
        place = _place(row)
        is_wanted = place in wanted and place not in theirs and place not in kept
        if is_wanted and wanted[place]["translated_text"] == row["translated_text"]:
            kept.add(place)
        else:
            found.needless.append(name)
    found.missing = [doc for p, doc in wanted.items() if p not in kept and p not in theirs]
    return found


def _rows(client: ErpNextClient) -> list[dict[str, Any]]:
    """Those of these texts, whoever made them, and all of Watcher's."""
    fields = ["language", "source_text", "context", "translated_text", _MARK]
    either: list[list[Any]] = [["source_text", "in", [*SAID]], [_MARK, "like", f"{_MARKED}%"]]
    return client.rows(DOCTYPE, [], fields, or_filters=either)


def _wanted(client: ErpNextClient) -> list[dict[str, Any]]:
    languages = [code for code in LANGUAGES if code != "en"]
    there = client.rows("Language", [["name", "in", languages]], ["name"])
    docs = []
    for language in sorted(str(row["name"]) for row in there):
        say: Callable[[str], str] = words(language)
        for text, context in SAID.items():
            doc = {"language": language, "source_text": text, "translated_text": say(text)}
            doc |= {"doctype": DOCTYPE, "context": context}
            docs.append(doc | {_MARK: _mark(doc)})
    return docs


def _place(row: dict[str, Any]) -> tuple[str, str, str]:
    return str(row["language"]), str(row["source_text"]), str(row["context"] or "")


def _mark(row: dict[str, Any]) -> str:
    whole = json.dumps([*_place(row), row["translated_text"]])
    return _MARKED + hashlib.sha256(whole.encode()).hexdigest()[:32]
