"""What Frappe does to HTML before it stores it: tags that it does not know are escaped, scripts
and ``javascript:`` links lose their power. So a read-back differs from what was sent."""

from __future__ import annotations

import re
from html import escape
from html.parser import HTMLParser


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_TAGS = _words(
    "a abbr acronym address article aside b big blockquote br caption center cite code col "
    "colgroup dd del dfn div dl dt em figcaption figure font footer h1 h2 h3 h4 h5 h6 header hr i "
    "img ins kbd label li main mark nav ol p pre q s samp section small span strike strong sub "
    "sup table tbody td tfoot th thead time tr tt u ul var video"
)
_ATTRIBUTES = _words(
    "align alt class colspan dir height href id lang rel rowspan src style target title width "
    "data-list"
)
_VOID = frozenset({"br", "hr", "img", "col"})
_LINKS = frozenset({"href", "src"})
_SAFE_LINK = re.compile(r"\s*(https?:|mailto:|cid:|data:image/|[/#?]|[^:]*$)", re.IGNORECASE)
_ANY_TAG = re.compile(r"<.*?>")


class _Cleaner(HTMLParser):
    """Writes down again what it reads, tamed."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.out: list[str] = []
        self.tags = 0
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags += 1
        if tag not in _TAGS:
            self.out.append(escape(self.get_starttag_text() or "", quote=False))
            return
        kept = "".join(f' {k}="{escape(v or "")}"' for k, v in attrs if _harmless(k, v or ""))
        self.out.append(f"<{tag}{kept}>")
        if tag not in _VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in _TAGS:
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

    def text(self) -> str:
        self.close()
        self._close_until(None)
        return "".join(self.out)

    def handle_data(self, data: str) -> None:
        self.out.append(escape(data, quote=False))

    def handle_entityref(self, name: str) -> None:
        self.out.append(f"&{name};")

    def handle_charref(self, name: str) -> None:
        self.out.append(f"&#{name};")


def _harmless(name: str, value: str) -> bool:
    return name in _ATTRIBUTES and (name not in _LINKS or bool(_SAFE_LINK.match(value)))


def sanitise(text: str) -> str:
    """``text`` as it is stored; the same when it holds no tag at all (``a < b``)."""
    if "<" not in text and ">" not in text:
        return text
    cleaner = _Cleaner()
    cleaner.feed(text)
    cleaned = cleaner.text()
    return cleaned if cleaner.tags else text


def without_tags(text: str) -> str:
    """The text between the tags, by which a mandatory field counts as filled."""
    return _ANY_TAG.sub("", text).strip()
