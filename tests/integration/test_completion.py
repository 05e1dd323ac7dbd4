"""``watcher completion``: the script, where it goes, and a real bash that has read it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from watcher.cli import cli
from watcher.errors import UserError

TAB = """
COMP_WORDS=(watcher accounts inv) COMP_CWORD=2
_watcher_completion watcher
echo $COMPREPLY
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "ZDOTDIR", "SHELL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def completion(*words: str) -> Result:
    return CliRunner().invoke(cli, ["completion", *words], prog_name="watcher")


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_bash_completes_what_was_installed_once(home: Path) -> None:
    (home / ".bashrc").write_text("# mine")
    for _ in range(2):
        assert completion("bash", "--install").exit_code == 0
    assert files(home) == {".bashrc", ".local/share/bash-completion/completions/watcher"}
    text = (home / ".bashrc").read_text()
    assert text.startswith("# mine\n[ -r ")
    assert text.count("completion of watcher") == 1
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ran = subprocess.run(
        ["bash", "--norc", "-c", text + TAB],
        capture_output=True,
        text=True,
        env=os.environ | {"PATH": path},
        check=True,
    )
    assert (ran.stdout, ran.stderr) == ("invite\n", "")


@pytest.mark.parametrize(
    ("shell", "expected"),
    [
        ("zsh", {".zshrc", ".local/share/watcher/watcher.zsh"}),
        ("fish", {".config/fish/completions/watcher.fish"}),
    ],
)
def test_other_shells(
    home: Path, monkeypatch: pytest.MonkeyPatch, shell: str, expected: set[str]
) -> None:
    monkeypatch.setenv("SHELL", f"/usr/bin/{shell}")
    assert completion("--install").exit_code == 0
    assert files(home) == expected
    printed = completion(shell).output.strip()
    assert printed
    assert printed in {(home / name).read_text().strip() for name in expected}


@pytest.mark.usefixtures("home")
def test_a_shell_that_is_not_known_is_asked_for() -> None:
    refused = completion("--install").exception
    assert isinstance(refused, UserError)
    assert refused.message == "which shell? SHELL is not set"
    assert "bash, zsh, fish" in refused.next_step
