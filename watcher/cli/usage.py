"""What is wrong with the words that somebody typed: in our own words, with what to type instead."""

from __future__ import annotations

import itertools
import re
import sys

import click

_WORD = re.compile(r"[a-z]+")
_MORE_THAN = re.compile(r"Got unexpected extra arguments? \((.*)\)")


def told(error: click.UsageError) -> tuple[str, str]:
    """What is wrong, and what to do."""
    path = error.ctx.command_path if error.ctx else _typed()
    asks = f"`{path} --help` shows what it takes"
    if isinstance(error, click.NoSuchCommand):
        return f"there is no command `{path} {error.command_name}`", _meant(path, error, asks)
    if isinstance(error, click.NoSuchOption):
        return f"`{path}` has no option {error.option_name}", _meant("", error, asks)
    if isinstance(error, click.MissingParameter):
        what = _named(error.param) if error.param else "an argument"
        return f"`{path}` needs {what}", _usage(error.ctx) or asks
    if isinstance(error, click.BadParameter):
        return _value(error), asks
    if isinstance(error, click.BadOptionUsage):
        wants = "needs a value" if "requires" in error.message else "takes no value"
        return f"{error.option_name} {wants}", asks
    more = _MORE_THAN.search(error.message)
    if more:
        return f"`{path}` takes no more words, and was given: {more[1]}", _usage(error.ctx) or asks
    return error.message, asks


def _typed() -> str:
    """The command, where click does not say which one it was: the first words that were typed."""
    words = itertools.takewhile(_WORD.fullmatch, sys.argv[1:3])
    return " ".join(("watcher", *words))


def _meant(path: str, error: click.NoSuchCommand | click.NoSuchOption, else_: str) -> str:
    words = [" ".join(filter(None, (path, each))) for each in error.possibilities or ()]
    return f"did you mean {' or '.join(f'`{each}`' for each in words)}?" if words else else_


def _named(param: click.Parameter) -> str:
    if isinstance(param, click.Option):
        return max(param.opts, key=len)
    return param.human_readable_name


def _usage(ctx: click.Context | None) -> str:
    """How the command is typed."""
    return ctx.command.get_usage(ctx).partition(": ")[2].replace("\n", " ") if ctx else ""


def _value(error: click.BadParameter) -> str:
    """What a parameter takes, by its type; else what the type has found wrong."""
    param = error.param
    if param is None:
        return error.message
    kind, name = param.type, _named(param)
    if isinstance(kind, click.Choice):
        return f"{name} is one of {', '.join(map(str, kind.choices))}"
    if isinstance(kind, click.IntRange | click.FloatRange):
        least = f" from {kind.min:g}" if kind.min is not None else ""
        most = f" to {kind.max:g}" if kind.max is not None else ""
        return f"{name} takes a number{least}{most}"
    if isinstance(kind, click.types.IntParamType | click.types.FloatParamType):
        return f"{name} takes a number"
    return f"{name}: {error.message}"
