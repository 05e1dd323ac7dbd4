"""Texts of strangers, made safe before they leave: whoever may invite an employee writes them.

Nothing here relies on the site's own sanitiser. Frappe's lets text pass as it came that is valid
JSON or whose tag is not closed, and refuses a title of which it leaves nothing. Three forms leave
this module, and cleaning any of them again changes nothing:

- ``line``: a title or a place. Text in which no tag can begin, however often a page decodes it.
- ``rich``: a description. Always HTML, closed, of the elements in ``ALLOWED`` alone, and it begins
  with a tag, so that it is never valid JSON.
- ``link``: an address that may stand in an attribute with either kind of quotes.
"""

from __future__ import annotations

import html
import re
import unicodedata

import nh3

MAX_DESCRIPTION = 200_000
"""Characters, of Google's text and of what becomes of it: Frappe takes a second for 60,000
entities. Google itself keeps some 8,000."""
MAX_TAGS = 5_000
MAX_DEPTH = 100
"""Beyond these a text's markup is dropped: the parser's time grows with their product."""


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_LINE_ENDS = re.compile("\r\n?|[\u2028\u2029]")
_UNSTORABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]")


def storable(text: str) -> str:
    """The text without control characters and halves of characters, which a database refuses;
    each line ends with a plain newline."""
    return _UNSTORABLE.sub("", _LINE_ENDS.sub("\n", text))


# --- lines --------------------------------------------------------------------------------------

_TAG_START = re.compile(r"<[a-zA-Z/!?]")
_STRIPPED = re.compile(r"<[^>]*>")
_BRACKETS = str.maketrans(
    "<>",
    "\N{SINGLE LEFT-POINTING ANGLE QUOTATION MARK}\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}",
)
_BIDI = re.compile("[\u202a-\u202e\u2066-\u2069]")
"""Overrides and isolates reach beyond their own text and reorder the page around it. The marks
(RLM, LRM) and joiners that languages need are not among them."""
_INVISIBLE = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp"})
_DECODINGS = 5


def line(text: str, limit: int) -> str:
    """``text`` as it is, at most ``limit`` UTF-8 bytes; "" when nothing of it would be seen.

    One in which a tag could begin (``<b>``, ``a<b and c>d``, and ``&lt;b&gt;`` too, since Frappe's
    Kanban board decodes a title twice), or of which Frappe's ``strip_html`` would leave nothing,
    gets typographic brackets (U+2039, U+203A). They read alike in form, list and calendar; an
    entity would be shown as such in the form.
    """
    given = _cut(_in_line(text), limit)
    decoded = _decoded(given)
    meant = _in_line(decoded)
    if meant != decoded or _reads_as_markup(meant):
        given = meant = _cut(meant.translate(_BRACKETS), limit)
    return "" if _is_blank(meant) else given


def _is_blank(text: str) -> bool:
    return all(unicodedata.category(character) in _INVISIBLE for character in text)


def paragraph(label: str, text: str, limit: int) -> str:
    """A line of a description of its own; "" when nothing of ``text`` would be seen."""
    words = " ".join(_cut(_in_line(text), limit).split())
    return "" if _is_blank(words) else f"<p>{label}: {html.escape(words, quote=False)}</p>"


def _in_line(text: str) -> str:
    return _BIDI.sub("", storable(text))


def _cut(text: str, limit: int) -> str:
    return text.encode()[:limit].decode(errors="ignore")


def _decoded(text: str) -> str:
    """What the text's entities stand for, however often they stand for entities again. What goes
    on for longer no person wrote: it is taken for a tag."""
    for _ in range(_DECODINGS):
        before, text = text, html.unescape(text)
        if text == before:
            return text
    return text.replace("&", "<!")


def _reads_as_markup(text: str) -> bool:
    """A browser could see a tag, or Frappe nothing but tags, and refuse the title (417)."""
    if _TAG_START.search(text):
        return True
    last = text.rfind(">") + 1  # looking for a ">" where none comes is quadratic
    return last > 0 and _is_blank(_STRIPPED.sub("", text[:last]) + text[last:])


# --- links --------------------------------------------------------------------------------------

_WEB = re.compile(r"https?://[^\s\x00-\x20<>\"'`\\{}|^\x7f-\x9f]+", re.IGNORECASE)
_HREF = re.compile(r"(?:https?://|mailto:|tel:)[^\s\x00-\x20]+", re.IGNORECASE)


def link(address: str | None) -> str | None:
    """A web address that can be clicked; None for anything else. Frappe's form puts it between
    single quotes as it is."""
    given = _in_line(address or "").strip()
    return given if _WEB.fullmatch(given) and "<" not in _decoded(given) else None


def anchor(address: str) -> str:
    """A ``link`` as it can be clicked in a description."""
    text = html.escape(address, quote=False)
    return f'<a href="{text}" rel="noopener noreferrer">{text}</a>'


def _href(element: str, attribute: str, value: str) -> str | None:
    """For nh3: the value of an attribute that may stay. Of a sender's only links to other places
    may; ``rel`` is nh3's own."""
    if attribute == "rel":
        return value
    found = value.strip()
    return found if _HREF.fullmatch(found) else None


# --- descriptions -------------------------------------------------------------------------------

ALLOWED = _names("a b blockquote br code div em h1 h2 h3 h4 h5 h6 hr i li ol p pre s strong u ul")
_EMPTIED = _names(
    "script style svg math iframe object embed template noscript noembed noframes head title "
    "textarea select audio video canvas xmp plaintext"
)
"""They go with what is in them: it is no text."""
_LINES = _names(
    "table tr caption dl dt dd article section header footer main nav aside figure figcaption "
    "address center fieldset details summary form"
)
"""Unknown to the allow-list, but each begins a new line."""
_CELLS = frozenset({"td", "th"})
_DROPPED = _names(
    "html body meta link base img span font small big strike del ins sub sup tt kbd samp var cite "
    "abbr acronym label mark q dfn time thead tbody tfoot col colgroup map area picture source wbr "
    "input button option marquee nobr bdi bdo param track"
)
"""They go, what is in them stays."""
_BLOCKS = (ALLOWED | _LINES) - _names("a b code em i s strong u")

_ATTRIBUTE = r"""[^\s"'<>/=]++(?:\s*+=\s*+(?:"[^"]*+"|'[^']*+'|[^\s"'<>`]++))"""
_MARKUP = re.compile(
    rf"""<(?P<end>/?)(?P<name>[a-zA-Z][a-zA-Z0-9:-]*+)"""
    rf"""(?P<attributes>(?:(?:[\s/]++|(?<=["'])){_ATTRIBUTE}?+)*+)[\s/]*+>"""
)
_VALUED = re.compile(rf"""(?:(?:[\s/]++|(?<=["'])){_ATTRIBUTE})*+[\s/]*""")
_REFERENCE = re.compile(r"&(?:amp|lt|gt|quot|apos|nbsp|#39|#34|#160);")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_TOKEN = re.compile(r'(<[^<>"]*(?:"[^"]*"[^<>"]*)*>)')
_DOCUMENT = re.compile(r"<(?:html|body)[\s>]", re.IGNORECASE)


def rich(text: str) -> str:
    """A description as HTML that can do nothing; "" when nothing is in it.

    It is HTML when it holds one whole tag of those that Google's editor, mail programs and other
    calendars write, like ``<b>``, ``</p>`` or ``<a href="...">``, or one of the character
    references with which they write, like ``&amp;`` or ``&nbsp;``. Everything else is plain text:
    ``a<b and c>d`` is, for ``<b and c>`` is no tag that a program writes, and so is a text with no
    other tag than ``<script>``.
    """
    given = storable(text)[:MAX_DESCRIPTION].strip()
    found = _safe(given)
    while len(found) > MAX_DESCRIPTION:
        given = given[: len(given) * MAX_DESCRIPTION // (len(found) + len(found) // 50)]
        found = _safe(given)
    return found


def _safe(text: str) -> str:
    if not text:
        return ""
    return _clean(text) if is_html(text) else plain(text)


def is_html(text: str) -> bool:
    if _REFERENCE.search(text):
        return True
    known = ALLOWED | _LINES | _CELLS | _DROPPED
    return any(_name(found) in known for found in _MARKUP.finditer(text))


def plain(text: str) -> str:
    """Text without markup as one paragraph; its line breaks are kept."""
    escaped = html.escape(text, quote=False).replace("\xa0", "&nbsp;")  # as nh3 writes it
    return f"<p>{escaped.replace(chr(10), '<br>')}</p>"


def _name(found: re.Match[str]) -> str:
    """The element's name; "" for what only looks like a tag. An attribute without a value after a
    name of one letter is a word of a sentence."""
    name, attributes = found["name"].lower(), found["attributes"]
    if len(name) == 1 and not _VALUED.fullmatch(attributes):
        return ""
    return name


def _clean(text: str) -> str:
    if text.count("<") > MAX_TAGS and len(_MARKUP.findall(text)) > MAX_TAGS:
        return _without_markup(text)
    whole = bool(_DOCUMENT.search(text))  # in a whole document line ends are white space
    found = _nh3(_prepared(text))
    if len(found) > MAX_DESCRIPTION:
        return found  # to be cut and cleaned again: the rest would be work for nothing
    found = _begun_with_a_tag(_with_breaks(found, " " if whole else "<br>"))
    if _depth(found) > MAX_DEPTH or _nh3(found) != found:
        return _without_markup(text)
    return found if _has_content(found) else ""


def _prepared(text: str) -> str:
    """Only tags that nh3 keeps or empties are left to it. What only looks like one stays as text,
    where a parser would take the words in it for attributes."""
    parts, at = [], 0
    text = _without_comments(text)
    for found in _MARKUP.finditer(text):
        parts += [text[at : found.start()].replace("<", "&lt;"), _kept(found)]
        at = found.end()
    return "".join([*parts, text[at:].replace("<", "&lt;")])


def _kept(found: re.Match[str]) -> str:
    name = _name(found)
    if name in ALLOWED or name in _EMPTIED:
        return found[0]
    if name in _LINES:
        return "<br>" if found["end"] else ""
    if name in _CELLS:
        return " " if found["end"] else ""
    if name in _DROPPED or ":" in name or "-" in name:
        return ""
    return found[0].replace("<", "&lt;")


def _without_comments(text: str) -> str:
    """Beyond the last "-->" no comment ends; looking for its end from every "<!--" is quadratic."""
    last = text.rfind("-->") + 3 if "-->" in text else 0
    return _COMMENT.sub("", text[:last]) + text[last:]


def _nh3(text: str) -> str:
    return nh3.clean(
        text,
        tags=set(ALLOWED),
        clean_content_tags=set(_EMPTIED),
        attributes={"a": {"href"}},
        attribute_filter=_href,
        url_schemes={"http", "https", "mailto", "tel"},
        link_rel="noopener noreferrer",
    )


def _with_breaks(found: str, line_end: str) -> str:
    """Line ends of the source as ``<br>``, as Google shows them. One beside a tag that begins a
    line of its own, and one between tags of that kind, is how the source was written down."""
    parts = _TOKEN.split(found)  # text, tag, text, ..., text
    preformatted = 0
    for at, part in enumerate(parts):
        if at % 2:
            preformatted += part.startswith("<pre>") - part.startswith("</pre>")
        elif "\n" in part and preformatted:
            # A parser drops the first line end of a <pre>, and would at each reading.
            parts[at] = part.lstrip("\n") if parts[at - 1] == "<pre>" else part
        elif "\n" in part:
            bare = part.lstrip(" \t\n") if at == 0 or _is_block(parts[at - 1]) else part
            last = at + 1 == len(parts)
            bare = bare.rstrip(" \t\n") if last or _is_block(parts[at + 1]) else bare
            parts[at] = bare.replace("\n", line_end)
    return "".join(parts)


def _is_block(tag: str) -> bool:
    return tag.strip("</>").partition(" ")[0] in _BLOCKS


def _begun_with_a_tag(found: str) -> str:
    found = found.strip()
    return found if found.startswith("<") else f"<div>{found}</div>"


def _depth(found: str) -> int:
    depth = deepest = 0
    for tag in _TOKEN.findall(found):
        if tag not in ("<br>", "<hr>"):
            depth += -1 if tag.startswith("</") else 1
            deepest = max(deepest, depth)
    return deepest


def _without_markup(text: str) -> str:
    """The words alone, for what no person wrote."""
    found = _MARKUP.sub(lambda tag: "\n" if _name(tag) in _BLOCKS else " ", text)
    words = re.sub(r"\n{3,}", "\n\n", html.unescape(found)).strip()
    return plain(storable(words)) if words else ""


def _has_content(found: str) -> bool:
    return "<hr>" in found or bool(html.unescape(_TOKEN.sub("", found)).strip())
