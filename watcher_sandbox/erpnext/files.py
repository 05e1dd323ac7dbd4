"""Attached files: pictures that come inside a text become files, and go with their document."""

from __future__ import annotations

import re
import secrets

from watcher_sandbox.erpnext.db import Row
from watcher_sandbox.erpnext.site import Site

_PICTURE = re.compile(r"""(<img[^>]*\ssrc\s*=\s*["'])(data:image/(\w+)[^"']*)(["'])""")


def take_out(site: Site, user: str, doctype: str, row: Row) -> None:
    """Changes ``row`` in place: each ``data:`` picture in a rich text becomes a private File."""

    def taken(found: re.Match[str]) -> str:
        name = f"{secrets.token_hex(4)[:7]}.{found[3]}"
        url = f"/private/files/{name}"
        file = site.make(
            "File",
            owner=user,
            file_name=name,
            file_url=url,
            attached_to_doctype=doctype,
            attached_to_name=row["name"],
            is_private=1,
        )
        return f"{found[1]}{url}?fid={file['name']}{found[4]}"

    for name, field in site.fields(doctype).items():
        if field.type == "Text Editor" and "data:image/" in str(row.get(name) or ""):
            row[name] = _PICTURE.sub(taken, row[name])


def attached(site: Site, doctype: str, name: str) -> list[Row]:
    """The files of a document, those too that people attached by hand."""
    return site.find("File", attached_to_doctype=doctype, attached_to_name=name)
