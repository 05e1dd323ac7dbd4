"""What an admin reads who sends more people at once than the web server takes."""

from __future__ import annotations

from waitress.utilities import Error
from werkzeug.datastructures import LanguageAccept
from werkzeug.http import parse_accept_header

from watcher.languages.catalogs import N_, known, words

SENTENCES = (
    N_("Too many at once"),
    N_("The page takes up to about 2,000 addresses at once. Nobody was invited or changed."),
    N_(
        "Send them in several parts, or all of them from a CSV file with the columns "
        "<code>email</code> and, if wanted, <code>erpnext_user</code>, on Watcher's machine:"
    ),
    N_(
        "Instead of <code>--mail</code>, <code>--csv links.csv</code> writes the links for a mail "
        "merge."
    ),
    N_("Back to Employees"),
)
_PAGE = """<!doctype html>
<html lang="{code}"><head><meta charset="utf-8"><title>{0} · Watcher</title>
<meta name="viewport" content="width=device-width, initial-scale=1"></head><body>
<h1>{0}</h1>
<p>{1}</p>
<p>{2}</p>
<p><code>watcher accounts invite --from-file people.csv --mail</code></p>
<p>{3}</p>
<p><a href="/employees">{4}</a></p>
</body></html>
"""


class TooMany(Error):  # type: ignore[misc]
    """The answer to a form of an admin's page with more people in it than the server takes: a page,
    since a person sees it, in the language that the browser asks for (``accepted`` is its
    ``Accept-Language``). Its session is not read, since the rest of the form is not."""

    code = 413
    reason = "Request Entity Too Large"

    def __init__(self, accepted: str) -> None:
        super().__init__("")
        self.accepted = accepted

    def to_response(self, ident: str | None = None) -> tuple[str, list[tuple[str, str]], bytes]:
        headers = [
            ("Content-Type", "text/html; charset=utf-8"),
            ("Content-Security-Policy", "default-src 'none'"),
        ]
        code = _language(self.accepted)
        page = _PAGE.format(*map(words(code), SENTENCES), code=code)
        return f"{self.code} {self.reason}", headers, page.encode()


def _language(accepted: str) -> str:
    asked = parse_accept_header(accepted, LanguageAccept).values()
    return next(filter(None, map(known, asked)), "en")
