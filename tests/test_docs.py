"""The documentation is checked against the program."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from prometheus_client import REGISTRY

import watcher
from tests.company import Company
from watcher.cli import cli
from watcher.errors import ExitCode
from watcher.handlers.health import LedgerCollector
from watcher.settings import SECRETS, env_name, fields
from watcher.web import create_app

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("deploy/*.md")])
FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`([^`\n]+)`")


def read(name: str) -> str:
    return (ROOT / name).read_text()


def table(page: str, first: str) -> Iterator[list[str]]:
    """Cells of the rows below the header that begins with ``first``."""
    inside = False
    for line in read(page).splitlines():
        cells = [c.strip().replace("\\|", "|") for c in re.split(r"(?<!\\)\|", line)[1:-1]]
        if cells and cells[0] == first:
            inside = True
        elif not cells:
            inside = False
        elif inside and not set(cells[0]) <= set("-"):
            yield cells


def commands(group: click.Group = cli, prefix: str = "") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", command


def quoted(page: Path) -> Iterator[str]:
    """Every `watcher ...` command on a page, in code and in fences."""
    text = page.read_text()
    blocks = [m.group(2) for m in FENCE.finditer(text)]
    lines = [line.strip() for block in blocks for line in block.splitlines()]
    lines += CODE.findall(FENCE.sub("", text))
    for line in lines:
        found = re.match(r"(?:\$ )?(?:\.venv/bin/)?watcher ([a-z].*)", line.split("  #")[0])
        if found:
            yield found.group(1)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_quoted_commands_exist_with_their_options(page: Path) -> None:
    known = dict(commands())
    groups = {name.rpartition(" ")[0] for name in known if " " in name}
    for line in quoted(page):
        words = shlex.split(re.sub(r"[\[\]]|\.\.\.", " ", line.replace("|", " ")))
        name = " ".join(words[:2]) if " ".join(words[:2]) in known else words[0]
        if name in groups and len(words) == 1:
            continue
        if any(planned in read("docs/limits.md") for planned in (f"`watcher {words[0]}`",)):
            continue
        assert name in known, f"{page.name}: watcher {line}"
        options = {o for p in known[name].params for o in p.opts} | {"--help"}
        for word in words:
            if word.startswith("--"):
                assert word.split("=")[0] in options, f"{page.name}: watcher {line}: {word}"


def test_every_command_is_documented_and_has_help() -> None:
    text = read("docs/commands.md")
    for name, command in commands():
        assert f"watcher {name}" in text, f"docs/commands.md lacks watcher {name}"
        assert command.help, f"watcher {name} has no help"
        for parameter in command.params:
            if isinstance(parameter, click.Option) and "--json" not in parameter.opts:
                assert parameter.opts[0] in text, f"watcher {name} {parameter.opts[0]}"


def test_settings_page_has_each_setting_with_its_default_and_no_other() -> None:
    rows = {cells[0].strip("`"): cells for cells in table("docs/settings.md", "setting")}
    assert set(rows) == {env_name(field) for field in fields()}
    for field, info in fields().items():
        _, default, meaning, secret = rows[env_name(field)]
        assert meaning.startswith(str(info.description))
        assert secret == ("yes" if field in SECRETS else "")
        if isinstance(info.default, int | float):
            assert default == f"{info.default:g}".replace("e+05", "00000") or default == str(
                info.default
            )
        elif isinstance(info.default, str) and info.default:
            assert default == info.default


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_settings_named_anywhere_exist(page: Path) -> None:
    known = {env_name(field) for field in fields()} | {"WATCHER_CONFIG"}
    known |= {f"{env_name(field)}_FILE" for field in SECRETS}
    for name in set(re.findall(r"WATCHER_[A-Z_]+[A-Z]\b", page.read_text())):
        if name.startswith("WATCHER_TEST_"):
            continue
        partial = [other for other in known if other.startswith(name)]
        assert name in known or (partial and f"{name}_..." in page.read_text()), name


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", FENCE.sub("", page.read_text())):
        if not target.startswith(("http://", "https://", "mailto:")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_make_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", read("Makefile"), re.MULTILINE))
    text = page.read_text()
    named = re.findall(r"`make ([a-z]+)", text) + re.findall(r"^make ([a-z]+)", text, re.MULTILINE)
    assert set(named) <= targets


def test_exit_codes() -> None:
    documented = {int(cells[0]) for cells in table("docs/commands.md", "code")}
    assert documented == {
        value for name, value in vars(ExitCode).items() if name.isupper() and value is not None
    }


def test_routes_are_documented(company: Company) -> None:
    app = create_app(company.services)
    text = read("docs/operations.md") + read("docs/how-it-works.md") + read("docs/google.md")
    for rule in ("/webhooks/google", "/healthz", "/readyz", "/metrics", "/oauth/google/callback"):
        assert any(r.rule == rule for r in app.url_map.iter_rules()), rule
        assert rule in text


def test_metrics_are_documented(company: Company) -> None:
    documented = set(re.findall(r"`(watcher_[a-z_]+)`", read("docs/operations.md")))
    create_app(company.services)
    families = [*LedgerCollector(company.services).collect(), *REGISTRY.collect()]
    exported = {
        f"{family.name}_total" if family.type == "counter" else family.name
        for family in families
        if family.name.startswith("watcher_")
    }
    assert exported <= documented
    from_strangers = {"watcher_notifications_unknown_total", "watcher_notifications_retired_total"}
    assert documented - exported <= from_strangers


def test_version_is_that_of_the_changelog() -> None:
    newest = re.search(r"^## (\S+)", read("CHANGELOG.md"), re.MULTILINE)
    assert newest is not None
    assert newest.group(1) == watcher.__version__


def test_first_steps_of_the_readme(tmp_path: Path, company: Company) -> None:
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "watcher", *words], cwd=tmp_path, text=True,
            capture_output=True, check=False, timeout=60,
        )  # fmt: skip

    assert run("init").returncode == 0
    assert (tmp_path / ".env").stat().st_mode & 0o077 == 0
    empty = run("config", "validate")
    assert empty.returncode == 2
    for name in ("WATCHER_PUBLIC_URL", "WATCHER_ERPNEXT_URL", "WATCHER_ERPNEXT_API_KEY"):
        assert name in empty.stderr
    filled = "".join(
        f"{name}={company.environ[name]}\n"
        for name in ("WATCHER_PUBLIC_URL", "WATCHER_ERPNEXT_URL", "WATCHER_ERPNEXT_API_KEY",
                     "WATCHER_ERPNEXT_API_SECRET", "WATCHER_GOOGLE_CLIENT_ID",
                     "WATCHER_GOOGLE_CLIENT_SECRET")
    )  # fmt: skip
    with (tmp_path / ".env").open("a") as handle:
        handle.write(filled)
    valid = run("config", "validate")
    assert valid.returncode == 0, valid.stderr
    shown = run("config", "show")
    assert company.environ["WATCHER_ERPNEXT_API_SECRET"] not in shown.stdout + shown.stderr
