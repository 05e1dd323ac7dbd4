"""One employee's day on both sides, as blocks of a calendar. Both are told in the employee's zone,
so that they can be compared; ERPNext itself stores the site's time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from watcher_sandbox.company import Company

FIRST_HOUR, LAST_HOUR, STEPS = 6, 22, 4
"""What of a day is drawn, and into how many rows an hour is divided."""
ROWS = (LAST_HOUR - FIRST_HOUR) * STEPS
COLUMNS = 6
"""Of a day's width: it can be halved and cut into thirds."""
_LANES = (1, 2, 3, 6)


@dataclass(frozen=True, slots=True)
class Block:
    """An event as it is drawn: rows from ``top`` on, and columns from ``left`` on (both from 1).
    ``note`` is said in small print."""

    key: str
    title: str
    begins: datetime
    ends: datetime
    all_day: bool = False
    note: str = ""
    top: int = 1
    height: int = 1
    left: int = 1
    width: int = COLUMNS

    @property
    def hours(self) -> str:
        return "all day" if self.all_day else f"{self.begins:%H:%M}-{self.ends:%H:%M}"


@dataclass(frozen=True, slots=True)
class Day:
    """``drawn`` are blocks of the grid, ``all_day`` those above it."""

    drawn: list[Block] = field(default_factory=list)
    all_day: list[Block] = field(default_factory=list)

    @property
    def blocks(self) -> list[Block]:
        return sorted([*self.all_day, *self.drawn], key=lambda block: (block.begins, block.title))


def of_google(company: Company, email: str, zone: ZoneInfo, day: date) -> Day:
    first, last = _edges(zone, day)
    found = company.google.truth(email, first, last)
    return _laid_out((_from_google(item, zone) for item in found), day)


def of_erpnext(company: Company, email: str, zone: ZoneInfo, day: date) -> Day:
    site = ZoneInfo(company.site.zone)
    rows = (row for row in company.rows(email) if row["status"] != "Cancelled")
    return _laid_out((_from_row(row, site, zone) for row in rows), day)


def _edges(zone: ZoneInfo, day: date) -> tuple[datetime, datetime]:
    first = datetime.combine(day, time(), zone)
    return first, first + timedelta(days=1)


def _from_google(item: dict[str, Any], zone: ZoneInfo) -> Block:
    private = item.get("visibility") in ("private", "confidential")
    begins, ends = (_instant(item[edge], zone) for edge in ("start", "end"))
    return Block(
        key=item["id"],
        title=item.get("summary") or "(No title)",
        begins=begins,
        ends=ends,
        all_day="date" in item["start"],
        note="private" if private else "",
    )


def _instant(edge: dict[str, str], zone: ZoneInfo) -> datetime:
    if "date" in edge:
        return datetime.combine(date.fromisoformat(edge["date"]), time(), zone)
    return datetime.fromisoformat(edge["dateTime"]).astimezone(zone)


def _from_row(row: dict[str, Any], site: ZoneInfo, zone: ZoneInfo) -> Block:
    # The dates of an all-day event belong to no zone.
    stored_in = zone if row["all_day"] else site
    begins, ends = (
        datetime.fromisoformat(str(edge)[:19]).replace(tzinfo=stored_in).astimezone(zone)
        for edge in (row["starts_on"], row["ends_on"] or row["starts_on"])
    )
    stored = f"{row['starts_on']:.16}" if site != zone and not row["all_day"] else ""
    return Block(
        key=str(row["name"]),
        title=str(row["subject"]),
        begins=begins,
        ends=ends + timedelta(days=1) if row["all_day"] else ends,
        all_day=bool(row["all_day"]),
        note=" ".join(filter(None, (str(row["name"]), stored and f"stored {stored}"))),
    )


def _laid_out(found: Iterable[Block], day: date) -> Day:
    """Those of that day, in rows and columns."""
    whole, drawn = [], []
    for block in found:
        last = (block.ends - timedelta(seconds=1)).date()
        if not block.begins.date() <= day <= last:
            continue
        if block.all_day:
            whole.append(block)
        else:
            drawn.append(_in_rows(block, day))
    drawn.sort(key=lambda block: (block.top, -block.height, block.title))
    return Day(_in_columns(drawn), sorted(whole, key=lambda block: block.title))


def _in_rows(block: Block, day: date) -> Block:
    def row_of(moment: datetime) -> int:
        hours = (moment - datetime.combine(day, time(), moment.tzinfo)).total_seconds() / 3600
        return round((hours - FIRST_HOUR) * STEPS)

    top = min(max(row_of(block.begins), 0), ROWS - 1)
    bottom = min(max(row_of(block.ends), top + 1), ROWS)
    return replace(block, top=top + 1, height=bottom - top)


def _in_columns(blocks: list[Block]) -> list[Block]:
    """Blocks that overlap stand beside each other."""
    done: list[Block] = []
    while blocks:
        group, bottom = [blocks[0]], blocks[0].top + blocks[0].height
        for block in blocks[1:]:
            if block.top >= bottom:
                break
            group.append(block)
            bottom = max(bottom, block.top + block.height)
        blocks = blocks[len(group) :]
        done += _beside(group)
    return done


def _beside(group: list[Block]) -> list[Block]:
    lanes: list[int] = []
    """Where each lane is free again."""
    placed = []
    for block in group:
        free = (n for n, until in enumerate(lanes) if until <= block.top)
        lane = next(free, len(lanes))
        lanes[lane : lane + 1] = [block.top + block.height]
        placed.append((block, min(lane, COLUMNS - 1)))
    number = next((n for n in _LANES if n >= len(lanes)), COLUMNS)
    width = COLUMNS // number
    return [replace(block, left=lane * width + 1, width=width) for block, lane in placed]
