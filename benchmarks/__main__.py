"""One command, one table: each figure beside its bare counterpart of the same run.

    .venv/bin/python -m benchmarks [--quick] [--only ROW ...] [--write] [--postgres URL]
                                   [--ledger postgres] [--erpnext URL]

Every row runs in a process of its own, so that none leaves anything to the next one. The exit code
is 1 when a goal is missed by more than its stated noise, or a row could not be measured.
Against a real ERPNext its API key comes from BENCH_ERPNEXT_KEY and
BENCH_ERPNEXT_SECRET: take a site for tests, since Events are written there and deleted, those of an
earlier run (of people named bench-...) as well. Its table is printed, and not written.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks import real, table
from benchmarks.rows import KEY, SECRET, LeftOut, Options, Row
from benchmarks.table import Result

MODULES = (
    "writing",
    "delta",
    "idle",
    "front_door",
    "startup",
    "ledger",
    "bursts",
    "freshness",
    "group",
    "day",
    "years",
)
_ROOT = Path(__file__).parent.parent


def all_rows() -> dict[str, Row]:
    """Every row by its name, in the order of the table."""
    found = {}
    for name in MODULES:
        for row in importlib.import_module(f"benchmarks.{name}").ROWS:
            found[row.name] = row
    return found


def measure(row: Row, options: Options) -> Result:
    """In this process."""
    result = Result(row=row.name)
    began = time.perf_counter()
    try:
        for figure in row.measure(options):
            result.figures.append(figure)
            print("  " + " | ".join(figure.cells()), file=sys.stderr, flush=True)
    except LeftOut as reason:
        result.why, result.skipped = str(reason), True
    except (Exception, SystemExit) as error:  # noqa: BLE001
        # One row that fails takes no other with it; it is told in the table.
        traceback.print_exc()
        result.why = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    result.seconds = round(time.perf_counter() - began, 1)
    return result


def apart(row: Row, given: Sequence[str]) -> Result:
    """In a process of its own, ended with all that it has started when it takes too
    long."""
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        command = [sys.executable, "-m", "benchmarks", *given, "--row", row.name, file.name]
        process = subprocess.Popen(command, cwd=_ROOT, start_new_session=True)
        try:
            process.wait(row.minutes * 60)
        except (subprocess.TimeoutExpired, KeyboardInterrupt) as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            return Result(row=row.name, why=f"given up after {row.minutes:g} minutes")
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        text = Path(file.name).read_text()
    if not text:
        return Result(row=row.name, why=f"its process ended with {process.returncode}")
    return Result.of_json(json.loads(text))


def parse(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="few rounds, small numbers")
    parser.add_argument("--only", action="append", default=[], metavar="ROW", help="repeatable")
    parser.add_argument("--list", action="store_true", help="the names of all rows")
    parser.add_argument("--write", action="store_true", help=f"the table into {table.PAGE.name}")
    parser.add_argument("--postgres", default="", metavar="URL", help="a server for databases")
    parser.add_argument(
        "--ledger", choices=["sqlite", "postgres"], default="sqlite", help="Watcher's own"
    )
    parser.add_argument("--erpnext", default="", metavar="URL", help="a real site, for tests")
    parser.add_argument("--row", nargs=2, help=argparse.SUPPRESS)
    return parser.parse_args(words)


def main(words: Sequence[str]) -> int:
    os.environ["NO_PROXY"] = "*"
    given = parse(words)
    options = Options(
        quick=given.quick, ledger=given.ledger == "postgres", erpnext=given.erpnext.rstrip("/")
    )
    if given.postgres:
        options = replace(options, postgres=given.postgres)
    if options.erpnext and not (os.environ.get(KEY) and os.environ.get(SECRET)):
        raise SystemExit(f"set {KEY} and {SECRET}: the API key of that site")
    rows = all_rows()
    if given.list:
        for row in rows.values():
            print(f"{row.name:14} {row.about}{'' if row.stand_ins else ' (also with --erpnext)'}")
        return 0
    if given.row:
        name, file = given.row
        Path(file).write_text(json.dumps(measure(rows[name], options).as_json()))
        return 0
    if unknown := set(given.only) - set(rows):
        raise SystemExit(f"no such row: {', '.join(sorted(unknown))}; --list names them")
    chosen = [row for row in rows.values() if not given.only or row.name in given.only]
    if not options.erpnext:
        site = "stand-ins of Google and ERPNext on the same machine"
        return report(chosen, words, options, site, write=given.write)
    if given.write:
        raise SystemExit("--write is for the table of the stand-ins")
    with real.lent(options) as erpnext:
        site = f"a stand-in of Google, and a real site with {real.described(erpnext)}"
        return report(chosen, words, options, site)


def report(
    chosen: Sequence[Row], words: Sequence[str], options: Options, site: str, *, write: bool = False
) -> int:
    """Measure, print the table, and say whether all goals are met."""
    load = os.getloadavg()[0]
    began, results = time.monotonic(), list[Result]()
    for row in chosen:
        print(f"== {row.name}: {row.about}", file=sys.stderr, flush=True)
        if options.erpnext and row.stand_ins:
            why = f"not against a real site: {row.stand_ins}"
            results.append(Result(row=row.name, why=why, skipped=True))
            continue
        results.append(apart(row, words))
        if options.erpnext:
            real.take_back(real.client(options))
    form = "the quick form" if options.quick else "the whole form"
    ledger = "PostgreSQL" if options.ledger else "SQLite"
    head = (
        f"Measured on {table.today()} with `make bench` ({form}, "
        f"{(time.monotonic() - began) / 60:.0f} minutes): {table.machine()}; ledger in {ledger}, "
        f"{site}. Load {load:.1f} before it began."
    )
    text = table.render(results, head)
    print(text)
    if write:
        table.write(text)
    bad = [result.row for result in results if result.is_bad]
    print(f"\nmissed or not measured: {', '.join(bad) or 'nothing'}", file=sys.stderr)
    return 1 if bad else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
