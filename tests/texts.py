"""Odd and hostile texts, and what a browser would see in what became of them.

The reader here is Python's html.parser, which shares no code with nh3.
"""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser

LONG = 200_000

HOSTILE = [
    # valid JSON, which Frappe stores as it came
    '"<img src=x onerror=alert(1)>"',
    '["<svg onload=alert(1)>"]',
    '{"a":"<script>alert(1)</script>"}',
    '{"t2":"<script>alert(1)</script>"}',
    '"<a href=\\"javascript:alert(1)\\">x</a>"',
    # not closed, which Frappe stores as it came
    "<img src=x onerror=alert(1)",
    "<svg/onload=alert(1)//",
    "<iframe src=javascript:alert(1)",
    "<b>x</b><img src=x onerror=alert(1) ",
    '<a href="javascript:alert(1)',
    "<script>alert(1)",
    "<<script>alert(1)</script>",
    "<b <script>alert(1)</script>",
    # plain attempts
    "<script>alert(1)</script>",
    "<ScRiPt\n>alert(1)</sCrIpT >",
    "<img src=x onerror=alert(1)>",
    "<p onclick=alert(1) style='position:fixed;inset:0'>x</p>",
    "<b class=modal id=page onmouseover=alert(1)>x</b>",
    "<style>*{display:none}</style><p>x</p>",
    "<p>x</p><link rel=stylesheet href=//evil.example/x.css>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe><p>x</p>",
    "<object data=javascript:alert(1)></object><b>x</b>",
    "<embed src=javascript:alert(1)><b>x</b>",
    "<form action=//evil.example><input name=password><button>Go</button></form>",
    "<base href=//evil.example><a href=login>x</a>",
    "<meta http-equiv=refresh content='0;url=//evil.example'><b>x</b>",
    "<video><source onerror=alert(1)></video><b>x</b>",
    "<details open ontoggle=alert(1)>x</details>",
    "<marquee onstart=alert(1)>x</marquee>",
    "<x onclick=alert(1)>x</x>",
    "<custom-element onfocus=alert(1) tabindex=1>x</custom-element>",
    # links
    "<a href=javascript:alert(1)>x</a>",
    "<a href=' javascript:alert(1)'>x</a>",
    "<a href='java\tscript:alert(1)'>x</a>",
    "<a href='java\nscript:alert(1)'>x</a>",
    "<a href='&#106;avascript:alert(1)'>x</a>",
    "<a href='jav&Tab;ascript&colon;alert(1)'>x</a>",
    "<a href='&#1;javascript:alert(1)'>x</a>",
    "<a href='data:text/html,<script>alert(1)</script>'>x</a>",
    "<a href='vbscript:x'>x</a><a href='file:///etc/passwd'>y</a>",
    "<a href='//evil.example'>x</a><a href='/api/method/logout'>y</a><a href='#x'>z</a>",
    '<a href="https://e.example/\'onmouseover=alert(1)//">x</a>',
    "<a href=\"https://e.example/'\" title='\"><script>alert(1)</script>'>x</a>",
    "<a href=\"https://e.example\" style='background:url(javascript:alert(1))'>x</a>",
    # entities, once and again
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&lt;img src=x onerror=alert(1)&gt;",
    "&amp;lt;img src=x onerror=alert(1)&amp;gt;",
    "&#60;svg onload=alert(1)&#62;",
    "&#x3c;svg/onload=alert(1)&#x3E;",
    "&ltsvg onload=alert(1)&gt",
    "&" + "amp;" * 12 + "lt;svg onload=alert(1)&gt;",
    "<b>&lt;script&gt;alert(1)&lt;/script&gt;</b>",
    # comments and sections
    "<!-- <script>alert(1)</script> --><b>x</b>",
    "<!--><img src=x onerror=alert(1)>-->",
    "<!-- --!><img src=x onerror=alert(1)>",
    "<b>x</b><!-- <img src=x onerror=alert(1)>",
    "<!-- markdown -->\n[x](javascript:alert(1))",
    "<!-- markdown --><img src=x onerror=alert(1)",
    "<![CDATA[<script>alert(1)</script>]]>",
    "<![5]><b>x</b>",
    "<?php echo 1 ?><b>x</b>",
    # what parsers and their second reading made of it
    "<svg></p><style><a id='</style><img src=x onerror=alert(1)>'>",
    "<math><mtext><table><mglyph><style><!--</style>"
    "<img title='--&gt;&lt;img src=1 onerror=alert(1)&gt;'>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<form><math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    "<svg><desc><b><style></desc><img src=x onerror=alert(1)></style></b>",
    "<p><svg><title><style><img src=x onerror=alert(1)></style></title></svg>",
    "<textarea><b></textarea><img src=x onerror=alert(1)>",
    "<title><b></title><img src=x onerror=alert(1)>",
    "<xmp><b></xmp><img src=x onerror=alert(1)>",
    "<b>x</b><plaintext><img src=x onerror=alert(1)>",
    "<template><b><script>alert(1)</script></b></template><i>x</i>",
    "<select><b><option><style></option></select><img src=x onerror=alert(1)></style>",
    "<table><td><b><script>alert(1)</script></td></table>",
    "<a href='https://e.example'><a href='javascript:alert(1)'><p><a>x",
    "<p><button><p><b>x",
    "<i><pre>\n\n<b>\nx</i></pre>",
    '<img src="data:image/png;base64,AAAA"><p>a</p>',
    # what no field or parser likes
    "<b>\x00x</b><scr\x00ipt>alert(1)</scr\x00ipt>",
    "<scr\ud800ipt>alert(1)</script>\udfff",
    "<b>x</b>\u202e<img src=x onerror=alert(1)>",
    "<" * LONG,
    "<b>" * (LONG // 3),
    "<b>x</b>" + "<!--" * (LONG // 4),
    "<ul><li>" * (LONG // 8),
    "<div>" * 300 + "x",
    "<a href='" * (LONG // 9),
]

ORDINARY = [
    "Shift",
    "Tom & Jerry",
    "R&D",
    "a < b",
    "a > b",
    "<3",
    "3 < 5",
    "<- in",
    "Ann <> Bob 1:1",
    "a < b and c > d",
    "in -> out <-",
    "out ->",
    '"quoted"',
    "it's 5 o'clock",
    "Grüße aus Köln 🍦",
    "فريق التطوير\u200f (B2)",
    "می\u200cخواهم",
    "👩\u200d🍳 cooks",
    "日本語のタイトル",
    "12345",
    "null",
    '"x"',
    "[1, 2]",
    '{"a": 1}',
    "**not markdown**",
    "https://e.example/?a=1&b=2",
    "C:\\Users\\ann",
]

EVENT_HANDLER = re.compile(r"on\w+$", re.IGNORECASE)
TAGS = frozenset(
    [
        "a",
        "b",
        "blockquote",
        "br",
        "code",
        "div",
        "em",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "hr",
        "i",
        "li",
        "ol",
        "p",
        "pre",
        "s",
        "strong",
        "u",
        "ul",
    ]
)


class Reader(HTMLParser):
    """Everything that is not text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.other: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.rest = self.rawdata
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in ("br", "hr"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_comment(self, data: str) -> None:
        self.other.append(data)

    def handle_decl(self, decl: str) -> None:
        self.other.append(decl)

    def handle_pi(self, data: str) -> None:
        self.other.append(data)

    def unknown_decl(self, data: str) -> None:
        self.other.append(data)


def assert_inert(stored: str) -> None:
    """HTML that can do nothing, of our elements alone, each of them closed."""
    found = Reader(stored)
    assert found.other == []
    assert found.open == []
    assert "<" not in found.rest
    for tag, attributes in found.tags:
        assert tag in TAGS
        assert set(attributes) <= ({"href", "rel"} if tag == "a" else set())
        address = attributes.get("href", "https://x").lower()
        assert re.match(r"(https?://|mailto:|tel:)\S+$", address), address


def assert_no_markup(stored: str, decodings: int = 8) -> None:
    """Text that shows no tag, however often a page decodes it before it shows it."""
    for _ in range(decodings):
        assert not re.search(r"<[a-zA-Z/!?]", stored), stored[:200]
        stored = html.unescape(stored)


def shown(stored: str) -> str:
    """The words of a description; line breaks as such."""
    lines = re.sub(r"<(?:br|hr)>|</(?:p|div|li|h\d|pre|blockquote)>", "\n", stored)
    return html.unescape(re.sub(r"<[^>]*>", "", lines)).strip()
