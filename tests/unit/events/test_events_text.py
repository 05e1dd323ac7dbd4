"""What becomes of the texts that strangers write: in titles, descriptions, and links."""

from __future__ import annotations

import html
import json
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.texts import HOSTILE, LONG, ORDINARY, assert_inert, assert_no_markup, shown
from watcher.events.text import is_html, line, link, rich

LIMIT = 60_000
hostile = pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text)[:50])
ordinary = pytest.mark.parametrize("text", ORDINARY, ids=ascii)

TOKENS = """
<b> </b> <i> </i> <p> </p> <a </a> <a\thref='https://e.example'> <a\thref=javascript:x> <br> <pre>
</pre> <ul> <li> </ul> <div> </div> <script> </script> <style> </style> <svg> </svg> <math> <table>
<td> </td> <h1> </h2> <button> <select> <img\tsrc=x> <!-- --> <![ <? </ < > & &amp; &lt; &gt;
&nbsp; &#60; ; ' " = / \\ onclick= x y
"""
pieces = st.lists(
    st.sampled_from(re.split("[ \n]+", TOKENS.strip()))
    | st.sampled_from([" ", "\n", "\r\n", "\t", "\x00", "\ud800", "\u202e", "\u200d"])
    | st.text(max_size=5),
    max_size=25,
).map("".join)


# --- descriptions -------------------------------------------------------------------------------


@hostile
def test_nothing_active_is_left_of_a_description(text: str) -> None:
    stored = rich(text)
    assert_inert(stored)
    assert stored == "" or stored.startswith("<")
    with pytest.raises(ValueError, match="Expecting value"):
        json.loads(stored)


@given(text=pieces)
def test_whatever_is_put_together_is_inert_and_clean_already(text: str) -> None:
    stored = rich(text)
    assert_inert(stored)
    assert rich(stored) == stored


@hostile
def test_what_is_clean_is_left_alone(text: str) -> None:
    stored = rich(text)
    assert rich(stored) == stored


@ordinary
def test_plain_text_is_shown_as_it_is(text: str) -> None:
    assert rich(text) == f"<p>{html.escape(text, quote=False)}</p>"
    assert shown(rich(text)) == text


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("", ""),
        (" \n\x00", ""),
        ("one\ntwo\r\n\r\nthree", "<p>one<br>two<br><br>three</p>"),
        ("a<b and c>d", "<p>a&lt;b and c&gt;d</p>"),
        ("Tom <tom@example.com>", "<p>Tom &lt;tom@example.com&gt;</p>"),
        ("<your name>, hello", "<p>&lt;your name&gt;, hello</p>"),
        ("use <script> here", "<p>use &lt;script&gt; here</p>"),
        # one whole tag of an editor's
        ("<b>bring</b> scoops", "<b>bring</b> scoops"),
        ("bring <B>scoops", "<div>bring <b>scoops</b></div>"),
        ("<b>x</b> a<b and c>d", "<b>x</b> a&lt;b and c&gt;d"),
        ("<b>x</b> <tom@example.com>", "<b>x</b> &lt;tom@example.com&gt;"),
        ("<b>x</b> <your name>", "<b>x</b> &lt;your name&gt;"),
        # or one of an editor's character references
        ("R&amp;D", "<div>R&amp;D</div>"),
        ("a&nbsp;b", "<div>a&nbsp;b</div>"),
        ("&lt;b&gt;", "<div>&lt;b&gt;</div>"),
        ("&amp;lt;b&amp;gt;", "<div>&amp;lt;b&amp;gt;</div>"),
        ("AT&T &c; Tom &copy", "<p>AT&amp;T &amp;c; Tom &amp;copy</p>"),
        # line ends in HTML
        ("<b>one</b>\ntwo\n\nthree", "<b>one</b><br>two<br><br>three"),
        ("<p>one</p>\n<p>two</p>\n", "<p>one</p><p>two</p>"),
        ("one<br>\ntwo<br/>three", "<div>one<br>two<br>three</div>"),
        ("<ul>\n <li>one</li>\n <li>two\n</ul>", "<ul><li>one</li><li>two</li></ul>"),
        ("<pre>\n  a\n  b</pre>", "<pre>  a\n  b</pre>"),
        ("<html><body><p>Dear\nall</p></body></html>", "<p>Dear all</p>"),
        # what goes and what stays
        ("<span style='x'>a</span><font color=red>b</font>", "<div>ab</div>"),
        ("<table><tr><td>a</td><td>b</td></tr></table>", "<div>a b <br><br></div>"),
        ("<p>a</p><style>p{}</style><o:p>b</o:p>", "<p>a</p>b"),
        ("<b></b><img src='https://e.example/x.png'>", ""),
        ("a<hr>", "<div>a<hr></div>"),
        (
            "<a href='https://e.example/?a=1&b=2'target=_blank>x</a>",
            '<a href="https://e.example/?a=1&amp;b=2" rel="noopener noreferrer">x</a>',
        ),
        (
            "<a href='tel:+49 12'>a</a><a href='TEL:+4912'>b</a>",
            '<a rel="noopener noreferrer">a</a><a href="TEL:+4912" rel="noopener noreferrer">b</a>',
        ),
    ],
)
def test_what_is_stored(text: str, stored: str) -> None:
    assert rich(text) == stored


@pytest.mark.parametrize(
    "text",
    ["<B>", "</p >", "<br>", "<br/>", "<A HREF='x'>", "<td nowrap>", '<p\nclass="x">', "<hr />"],
)
def test_a_tag_of_an_editor_makes_it_html(text: str) -> None:
    assert is_html(f"x {text} y")


@pytest.mark.parametrize(
    "text",
    [
        "<b and c>",
        "</b or c>",
        "< b>",
        "<b",
        "<x>",
        "<b,c>",
        "<svg onload=x>",
        "&",
        "&x;",
        "<i j='>",
    ],
)
def test_what_no_editor_writes_is_text(text: str) -> None:
    assert not is_html(f"x {text} y")


@pytest.mark.parametrize("unit", ["x", "<", "<b>x</b>", "<b>x</b>y&", "\n"])
def test_a_description_has_an_end(unit: str) -> None:
    stored = rich(unit * 3_000_000)
    assert_inert(stored)
    assert len(stored) <= LONG


def test_deep_and_endless_markup_is_left_out_and_its_words_stay() -> None:
    deep = rich("<div>" * 300 + "deep &amp; down" + "</div>" * 300)
    assert deep == "<p>deep &amp; down</p>"
    many = rich("<b>word</b> " * 10_000)
    assert_inert(many)
    assert many.count("word") == 10_000


UNITS = [
    "<",
    "<!--",
    "<!-- -->",
    "<b>",
    "<b",
    "</b",
    "<b x",
    "<a b='",
    '<a b="',
    "&",
    "&amp;",
    "\n",
    "<ul><li>",
    "<p><div>",
    "<a href=https://e.example>",
    "<b></i>",
    "<br>\n",
    "<svg>",
    "=",
    "/",
]


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("before", ["", "<b>x</b>", "<a "])
def test_no_text_takes_long(unit: str, before: str) -> None:
    text = before + unit * (LONG // len(unit))
    began = time.process_time()
    rich(text)
    line(text, LIMIT)
    link("https://" + text)
    assert time.process_time() - began < 2


# --- titles -------------------------------------------------------------------------------------


@hostile
def test_no_tag_can_begin_in_a_title(text: str) -> None:
    stored = line(text, LIMIT)
    assert_no_markup(stored)
    assert len(stored.encode()) <= LIMIT
    assert line(stored, LIMIT) == stored


@given(text=pieces, limit=st.integers(1, 60))
def test_nor_in_one_that_is_put_together_and_cut(text: str, limit: int) -> None:
    stored = line(text, limit)
    assert_no_markup(stored)
    assert len(stored.encode()) <= limit
    assert line(stored, limit) == stored


@ordinary
def test_an_ordinary_title_is_stored_as_it_is(text: str) -> None:
    assert line(text, LIMIT) == text


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("<b>L</b> & co", "‹b›L‹/b› & co"),
        ("a<b and c>d", "a‹b and c›d"),
        (" < b and c > ", " ‹ b and c › "),  # Frappe would leave nothing of it, and refuse it
        ("<>", "‹›"),
        ("R&D <draft>", "R&D ‹draft›"),
        ("&lt;draft&gt; R&amp;D", "‹draft› R&D"),
        ("Tom &amp; Jerry", "Tom &amp; Jerry"),
        ("<![5]>", "‹![5]›"),
        ("a\u202eb\u2066c\u2069", "abc"),
        ("a&#8238;b", "ab"),
        ("a\x00b\ud800", "ab"),
        ("\u200b", ""),
        ("&nbsp; \u200b\xa0", ""),
        ("", ""),
    ],
)
def test_what_is_stored_of_a_title(text: str, stored: str) -> None:
    assert line(text, LIMIT) == stored


# --- links --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address", ["https://meet.google.com/abc", "HTTP://e.example", "https://e.example/?a=1&b=%20#c"]
)
def test_a_web_address_is_a_link(address: str) -> None:
    assert link(f" {address}\n") == address


@pytest.mark.parametrize(
    "address",
    [
        None,
        "",
        "javascript:alert(1)",
        "//e.example",
        "tel:+49",
        "https://",
        "https://a b",
        "https://e.example/'onclick='x",
        'https://e.example/"',
        "https://e.example/<b>",
        "https://e.example/&lt;svg/onload=alert(1)&gt;",
        "java\tscript:x",
        "https://e.example/\\x",
    ],
)
def test_anything_else_is_none(address: str | None) -> None:
    assert link(address) is None
