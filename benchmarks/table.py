"""What a measurement came to, whether its goal is met, and the table of docs/benchmarks.md."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"
BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"
Verdict = Literal["met", "within noise", "missed", ""]


@dataclass(frozen=True, kw_only=True, slots=True)
class Goal:
    """``limit`` is not to be passed; with ``at_least`` it is to be reached. ``noise`` is the part
    of the limit by which a figure of this kind differs from run to run on a busy machine: a miss
    by less is no miss. What is counted has none."""

    limit: float
    at_least: bool = False
    noise: float = 0.0

    def verdict(self, value: float) -> Verdict:
        over = self.limit - value if self.at_least else value - self.limit
        if over <= 0:
            return "met"
        return "within noise" if over <= self.noise * abs(self.limit) else "missed"

    def __str__(self) -> str:
        sign = "≥" if self.at_least else "≤"
        noise = f" ± {self.noise:.0%}" if self.noise else ""
        return f"{sign} {number(self.limit)}{noise}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """One line of the table. ``values`` has one value for each round: their median is what the goal
    is about. ``beside`` says what the bare counterpart took in the same run."""

    what: str
    values: list[float]
    unit: str = ""
    goal: Goal | None = None
    beside: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def verdict(self) -> Verdict:
        return self.goal.verdict(self.median) if self.goal else ""

    @property
    def spread(self) -> str:
        """The least and the most of the rounds, where there were several."""
        if len(self.values) < 2:
            return ""
        return f" ({number(min(self.values))} to {number(max(self.values))})"

    def cells(self) -> list[str]:
        seen = f"{number(self.median)} {self.unit}".strip() + self.spread
        verdict = f"**{self.verdict}**" if self.verdict == "missed" else self.verdict
        return [self.what, seen, self.beside, str(self.goal or ""), verdict]


@dataclass(kw_only=True, slots=True)
class Result:
    """What one row came to. ``why``: it could not be measured."""

    row: str
    figures: list[Figure] = field(default_factory=list)
    seconds: float = 0.0
    why: str = ""
    skipped: bool = False

    @property
    def is_bad(self) -> bool:
        failed = bool(self.why) and not self.skipped
        return failed or any(figure.verdict == "missed" for figure in self.figures)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of_json(cls, document: dict[str, Any]) -> Result:
        figures = [
            Figure(**{**each, "goal": Goal(**each["goal"]) if each["goal"] else None})
            for each in document.pop("figures")
        ]
        return cls(figures=figures, **document)


def number(value: float) -> str:
    """Three figures that tell something."""
    if value == int(value) and abs(value) < 10_000_000:
        return f"{int(value):,}"
    size = abs(value)
    return f"{value:,.0f}" if size >= 100 else f"{value:.1f}" if size >= 10 else f"{value:.2f}"


def between(values: Sequence[float], unit: str) -> str:
    """A counterpart's median with its spread, for ``beside``."""
    return f"{number(statistics.median(values))} {unit}" + Figure(what="", values=[*values]).spread


def machine() -> str:
    """One line on what this was measured on."""
    name = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines() if os.path.exists("/proc") else ():
        if line.startswith("model name"):
            name = line.partition(":")[2].strip()
            break
    pages, size = (os.sysconf(f"SC_{each}") for each in ("PHYS_PAGES", "PAGE_SIZE"))
    return (
        f"{os.cpu_count()} cores ({name}), {pages * size / 2**30:.0f} GiB, {platform.system()} "
        f"{platform.release()}, Python {platform.python_version()}"
    )


def render(results: Sequence[Result], head: str) -> str:
    """The table in Markdown, with ``head`` above it."""
    lines = [head, ""]
    lines += ["| what | seen | beside | goal | verdict |", "|---|---|---|---|---|"]
    for result in results:
        for figure in result.figures:
            lines.append(f"| {' | '.join(each.replace('|', '/') for each in figure.cells())} |")
        if result.why:
            said = "left out" if result.skipped else "**not measured**"
            lines.append(f"| {result.row} | {said}: {result.why} | | | |")
    return "\n".join(lines)


def write(table: str, page: Path = PAGE) -> None:
    """Put the table between the marks of the page."""
    before, _, rest = page.read_text().partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise SystemExit(f"{page} has no place for the table: {BEGIN} and {END}")
    page.write_text(f"{before}{BEGIN}\n\n{table}\n\n{END}{after}")


def today() -> str:
    return f"{datetime.now(UTC):%Y-%m-%d}"
