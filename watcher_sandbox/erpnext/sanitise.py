"""What Frappe does to HTML before it stores it: tags that it does not know are escaped, scripts
and ``javascript:`` links lose their power. So a read-back differs from what was sent.

It can be walked round, as on every site before August 2026: text that is valid JSON, and text
whose only tag is not closed, is stored as it came.
"""

from __future__ import annotations

import json
import re
from html import escape
from html.parser import HTMLParser

from watcher_sandbox.erpnext.catalogue import NEW, OLD


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_TAGS = _words(
    "a abbr acronym address article aside audio b big blockquote body br button caption center "
    "cite code col colgroup dd del details dfn div dl dt em fieldset figcaption figure font "
    "footer form g h1 h2 h3 h4 h5 h6 head header hr html i img input ins kbd label legend li link "
    "main map mark math menu meta mi mn mo mrow nav o:p ol optgroup option p path pre progress q "
    "rect s samp section select small source span strike strong style sub sup svg table tbody td "
    "text textarea tfoot th thead time tr tt u ul var video"
)
_TAGS_16 = _TAGS | {"summary"}
_ATTRIBUTES = _words(
    "action align alt border checked class color cols colspan controls d dir disabled fill for "
    "height href hreflang id lang list max maxlength media method min name placeholder poster rel "
    "required rev rows rowspan selected size span src start style summary tabindex target title "
    "type value viewbox width xmlns"
)
_VOID = frozenset({"br", "hr", "img", "col", "input", "link", "meta", "source"})
_LINKS = frozenset({"href", "src", "action"})
_SAFE_LINK = re.compile(r"\s*(https?:|mailto:|cid:|tel:|data:image/|[/#?]|[^:]*$)", re.IGNORECASE)
_ANY_TAG = re.compile(r"<.*?>")
_UNCLOSED = re.compile(r"<[a-zA-Z/][^>]*\Z")
_CLOSED_BY_NEXT = {"p": frozenset({"p"}), "li": frozenset({"li"})}


class _Cleaner(HTMLParser):
    """Writes the HTML that it reads again, without what could be active."""

    def __init__(self, tags: frozenset[str]) -> None:
        super().__init__(convert_charrefs=False)
        self.out: list[str] = []
        self.tags = 0
        self._known = tags
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags += 1
        if tag not in self._known:
            self.out.append(escape(self.get_starttag_text() or "", quote=False))
            return
        if self._open and self._open[-1] in _CLOSED_BY_NEXT.get(tag, ()):
            self.out.append(f"</{self._open.pop()}>")
        kept = "".join(_attribute(k, v) for k, v in attrs if _harmless(k, v or ""))
        self.out.append(f"<{tag}{kept}>")
        if tag not in _VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)  # HTML knows no tag that closes itself

    def handle_endtag(self, tag: str) -> None:
        if tag not in self._known:
            self.out.append(f"&lt;/{tag}&gt;")
        elif tag in self._open:
            self._close_until(tag)

    def _close_until(self, tag: str | None) -> None:
        """What was left open inside is closed as well; None: everything."""
        while self._open:
            last = self._open.pop()
            self.out.append(f"</{last}>")
            if last == tag:
                return

    def text(self, rest: str) -> str:
        """``rest``: the end of the text, which is no whole tag and is kept as text."""
        self.close()
        self.out.append(escape(rest, quote=False))
        self._close_until(None)
        return "".join(self.out).replace("\0", "")

    def handle_comment(self, data: str) -> None:
        self.out.append(f"<!--{data}-->")

    def handle_data(self, data: str) -> None:
        self.out.append(escape(data, quote=False))

    def handle_entityref(self, name: str) -> None:
        self.out.append(f"&{name};")

    def handle_charref(self, name: str) -> None:
        self.out.append(f"&#{name};")


def _harmless(name: str, value: str) -> bool:
    if name.startswith("data-"):
        return True
    return name in _ATTRIBUTES and (name not in _LINKS or bool(_SAFE_LINK.match(value)))


def _attribute(name: str, value: str | None) -> str:
    if value is None:
        return f" {name}"
    text = value.replace("&", "&amp;").replace("<", "&lt;")
    if name == "style" and not text.endswith(";"):
        text += ";"
    return f" {name}='{text}'" if '"' in text else f' {name}="{text}"'


def sanitise(text: str, frappe: int = OLD, *, always: bool = False) -> str:
    """``text`` as it is stored; the same when it is JSON, or holds no tag at all (``a < b``),
    unless ``always``: Comments are cleaned in any case. 15 drops an unclosed tag at the end."""
    if "<" not in text and ">" not in text:
        return text
    if not always and _is_json(text):
        return text
    found = _UNCLOSED.search(text)
    rest = found[0] if found else ""
    cleaner = _Cleaner(_TAGS_16 if frappe == NEW else _TAGS)
    cleaner.feed(text.removesuffix(rest))
    cleaned = cleaner.text(rest if frappe == NEW else "")
    return cleaned if cleaner.tags or always else text


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def without_tags(text: str) -> str:
    """The text between the tags, by which a mandatory field counts as filled. After the last ``>``
    there is none: an endless ``<<<`` is not searched from each of its signs anew."""
    head, end, rest = text.rpartition(">")
    return (_ANY_TAG.sub("", head + end) + rest).strip()
