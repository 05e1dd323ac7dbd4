"""Whatever `watcher doctor` finds can be said in another language: no text of a Finding is put
together of plain English on its way to the page *System*."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import catalogs

PACKAGE = catalogs.PACKAGE
MAKERS = {"ok", "warn", "fail", "away", "denied", "missing", "skip"}
SENTENCES = {"sentence", "counted", "joined", "listed", "named"}
ELSEWHERE = {
    *("message", "next_step", "step"),  # of an error, a problem, an answer: made as sentences
    *("TESTING", "REACH", "CHECK_CLIENT", "OTHERWISE"),
    *("SETUP", "WIDEN", "mandatory_step", "narrowed", "console_line", "warnings"),
}
"""Names from other modules that are, or give, sentences or a line to paste."""
PASTED = re.compile(r"watcher |chmod |df |redis-cli |timedatectl |sudo |https://")
"""How a line to paste begins."""
CHECKS = sorted((PACKAGE / "doctor").glob("*.py"))


def name_of(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def calls(tree: ast.AST, names: set[str]) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and name_of(node.func) in names:
            yield node


def what_is(name: str, tree: ast.AST) -> Iterator[ast.expr | None]:
    """Everything that a name of this module stands for: what is assigned to it, what functions of
    that name return, and what callers give for a parameter (the nearest of the module)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and any(name_of(t) == name for t in node.targets):
            yield node.value
        if isinstance(node, ast.FunctionDef) and node.name == name:
            yield from (n.value for n in ast.walk(node) if isinstance(n, ast.Return))
        if isinstance(node, ast.FunctionDef) and name in [a.arg for a in node.args.args]:
            place = [a.arg for a in node.args.args].index(name)
            yield from (call.args[place] for call in calls(tree, {node.name}))


def plain(
    node: ast.expr | None, tree: ast.AST, *, pasted: bool, within: tuple[str, ...] = ()
) -> Iterator[str]:
    """Parts of an expression that may be a plain English text; with ``pasted`` a line to paste is
    none. ``within`` are names that are being looked at already."""
    match node:
        case None | ast.Constant(value=""):
            return
        case ast.Constant(value=str(text)) | ast.JoinedStr(values=[ast.Constant(value=text), *_]):
            if not pasted or not PASTED.match(str(text)):
                yield str(text)
        case ast.BoolOp(values=parts):
            for part in parts:
                yield from plain(part, tree, pasted=pasted, within=within)
        case ast.IfExp(body=one, orelse=other):
            yield from plain(one, tree, pasted=pasted, within=within)
            yield from plain(other, tree, pasted=pasted, within=within)
        case ast.Subscript(value=of) | ast.Call(func=ast.Attribute(attr="get", value=of)):
            yield from plain(of, tree, pasted=pasted, within=within)
        case ast.Call(func=made, args=given) if name_of(made) in SENTENCES:
            texts = [each for each in given if isinstance(each, ast.JoinedStr | ast.BinOp)]
            yield from map(ast.unparse, texts)
        case ast.Call(func=of) | (ast.Name() | ast.Attribute() as of):
            if (name := name_of(of)) not in (*ELSEWHERE, *within):
                found = list(what_is(name, tree))
                if not found:
                    yield ast.unparse(node)
                for each in found:
                    yield from plain(each, tree, pasted=pasted, within=(*within, name))
        case _:
            yield ast.unparse(node)


@pytest.mark.parametrize("path", CHECKS, ids=lambda path: path.stem)
def test_every_text_of_a_finding_is_a_sentence_or_a_line_to_paste(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    left: list[str] = []
    for call in calls(tree, MAKERS):
        if isinstance(call.func, ast.Attribute) and name_of(call.func.value) == "say":
            left += plain(call.args[0], tree, pasted=False)
            steps = call.args[1:2] if name_of(call.func) != "skip" else []
            left += [text for each in steps for text in plain(each, tree, pasted=True)]
    assert not left


def test_every_sentence_of_the_code_is_in_the_catalogs() -> None:
    """A template that is no literal is passed over by what looks for them."""
    known = {text for message in catalogs.in_code() for text in catalogs.ids(message)}
    for path in PACKAGE.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for call in calls(tree, {"sentence", "counted"}):
            for node in call.args[: 2 if name_of(call.func) == "counted" else 1]:
                if isinstance(node, ast.Constant):
                    assert node.value in known, path
                assert not isinstance(node, ast.JoinedStr | ast.BinOp), ast.unparse(node)
