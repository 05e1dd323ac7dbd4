"""What ``make bench`` says of its figures: which goal is missed, and what the page is given."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import benchmarks
from benchmarks import table
from benchmarks.__main__ import MODULES, all_rows, main, measure, report
from benchmarks.rows import KEY, SECRET, LeftOut, Options, Row
from benchmarks.table import Figure, Goal, Result


@pytest.mark.parametrize(
    ("value", "at_most", "at_least"),
    [(99, "met", "missed"), (100, "met", "met"), (105, "within noise", "met")],
)
def test_a_goal_is_missed_by_more_than_its_noise(value: float, at_most: str, at_least: str) -> None:
    assert Goal(limit=100, noise=0.1).verdict(value) == at_most
    assert Goal(limit=100, at_least=True).verdict(value) == at_least


def test_what_is_counted_has_no_noise() -> None:
    assert Goal(limit=0).verdict(1) == "missed"


def test_a_row_that_cannot_be_measured_is_bad_unless_it_was_left_out() -> None:
    met = Figure(what="it", values=[1, 5, 2], unit="ms", goal=Goal(limit=2))
    assert met.cells() == ["it", "2 ms (1 to 5)", "", "≤ 2", "met"]
    assert not Result(row="a", figures=[met]).is_bad
    assert not Result(row="a", why="no PostgreSQL", skipped=True).is_bad
    assert Result(row="a", why="given up").is_bad
    missed = Figure(what="it", values=[3], goal=Goal(limit=2))
    assert Result(row="a", figures=[met, missed]).is_bad


def test_a_row_comes_whole_out_of_its_process() -> None:
    figures = [Figure(what="a", values=[1.5], goal=Goal(limit=2)), Figure(what="b", values=[1])]
    result = Result(row="a", figures=figures, seconds=2.0)
    assert Result.of_json(json.loads(json.dumps(result.as_json()))) == result


def test_the_table_stands_between_the_marks(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n")
    table.write("| new |", page)
    assert page.read_text() == f"before\n{table.BEGIN}\n\n| new |\n\n{table.END}\nafter\n"
    assert table.BEGIN in table.PAGE.read_text()


def test_every_row_is_in_the_table() -> None:
    folder = Path(benchmarks.__file__).parent
    with_rows = {path.stem for path in folder.glob("*.py") if "\nROWS = (" in path.read_text()}
    assert set(MODULES) == with_rows
    assert all_rows()


def test_a_row_says_why_it_is_left_out() -> None:
    def none(_options: Options) -> list[Figure]:
        raise LeftOut("there is none")

    result = measure(Row("a", "nothing", none), Options())
    assert (result.why, result.skipped, result.is_bad) == ("there is none", True, False)


def test_a_row_that_needs_the_stand_ins_is_named_for_a_real_site(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And every other row leaves nothing there before the next one begins."""
    done: list[str] = []
    monkeypatch.setattr("benchmarks.real.client", lambda _options: "the site")
    monkeypatch.setattr("benchmarks.real.take_back", lambda _client: done.append("taken back"))
    monkeypatch.setattr("benchmarks.table.machine", lambda: "this one")

    def apart(row: Row, _words: object) -> Result:
        done.append(row.name)
        return Result(row=row.name, figures=[Figure(what="it", values=[1])])

    monkeypatch.setattr("benchmarks.__main__.apart", apart)
    rows = [Row("a", "", lambda _: []), Row("b", "", lambda _: [], "it asks nothing of ERPNext")]
    options = Options(erpnext="https://erp.example.com")
    assert report([*rows, rows[0]], [], options, "a real site") == 0
    assert "| b | left out: not against a real site: it asks nothing" in capsys.readouterr().out
    assert done == ["a", "taken back"] * 2


def test_the_table_of_a_real_site_is_not_written_over_that_of_the_stand_ins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(KEY, "key")
    monkeypatch.setenv(SECRET, "secret")
    with pytest.raises(SystemExit, match="--write"):
        main(["--erpnext", "https://erp.example.com", "--write"])


def test_a_real_site_needs_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY, raising=False)
    with pytest.raises(SystemExit, match=KEY):
        main(["--erpnext", "https://erp.example.com"])
