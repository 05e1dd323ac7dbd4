"""Settings as they are given: which file counts, who may read it, what is misspelled in it."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from watcher.cli import cli
from watcher.cli.common import folded
from watcher.errors import UserError
from watcher.given import files, names
from watcher.ledger.secrets import Keyring
from watcher.settings import load


@pytest.fixture(autouse=True)
def system(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where the system's file is looked for, and the folder of its service."""
    monkeypatch.setattr(files, "SYSTEM_FILE", tmp_path / "etc" / "watcher.env")
    monkeypatch.setattr(files, "SYSTEM_DATA", tmp_path / "lib")
    (tmp_path / "etc").mkdir()
    (tmp_path / "here").mkdir()
    return files.SYSTEM_FILE


def put(path: Path, minutes: int) -> Path:
    path.write_text(f"WATCHER_POLL_MINUTES={minutes}\n")
    return path


def test_the_file_is_found_in_this_order(system: Path, tmp_path: Path) -> None:
    here = tmp_path / "here"
    assert load({}, here).file is None
    put(system, 1)
    assert load({}, here).settings.poll_minutes == 1
    put(here / ".env", 2)
    assert load({}, here).settings.poll_minutes == 2
    named = put(tmp_path / "named.env", 3)
    loaded = load({"WATCHER_CONFIG": str(named)}, here)
    assert (loaded.settings.poll_minutes, loaded.file) == (3, named)


def test_the_option_goes_before_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHER_CONFIG", str(put(tmp_path / "variable.env", 3)))
    chosen = str(put(tmp_path / "option.env", 4))
    for words in (["--config", chosen, "config", "show"], ["config", "show", "--config", chosen]):
        shown = CliRunner().invoke(cli, words)
        assert chosen in shown.output
        assert os.environ["WATCHER_CONFIG"] == chosen, "for the processes that are started"


def test_a_command_in_another_folder_works_on_the_service_s_data(
    system: Path, tmp_path: Path
) -> None:
    put(system, 1)
    files.SYSTEM_DATA.mkdir()
    assert load({}, tmp_path / "here").settings.data_dir == files.SYSTEM_DATA
    named = load({"WATCHER_DATA_DIR": "mine"}, tmp_path / "here")
    assert named.settings.data_dir == Path("mine")


def test_a_file_that_may_not_be_read_is_not_passed_over(
    system: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(system, 1)
    monkeypatch.setattr(files, "may", lambda path, _mode: path != system)
    with pytest.raises(UserError) as found:
        load({}, tmp_path / "here")
    assert str(system) in found.value.message
    # sudo has a PATH of its own, so that the line has to name the program's whole path.
    words = found.value.next_step.partition("sudo -u ")[2].split()
    assert os.access(words[1], os.X_OK)
    monkeypatch.chdir(tmp_path / "here")
    told = " ".join(CliRunner().invoke(cli, ["doctor"]).output.split())
    assert found.value.next_step in told


def test_root_s_own_folder_hides_no_file_from_the_service_s_user(
    system: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`sudo -u watcher watcher status` is called in /root, which its user may not look into."""
    here = put(tmp_path / "here" / ".env", 2).parent
    monkeypatch.setattr(files, "may", lambda path, _mode: here not in (path, *path.parents))
    with pytest.raises(UserError, match="not for this user to read"):
        load({}, here)
    put(system, 1)
    assert load({}, here).settings.poll_minutes == 1


def test_nothing_set_says_where_it_was_looked(
    system: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path / "here")
    found = CliRunner().invoke(cli, ["status"])
    assert isinstance(found.exception, UserError)
    for place in ("--config", "WATCHER_CONFIG", str(tmp_path / "here" / ".env"), str(system)):
        assert place in found.exception.next_step
    assert not list((tmp_path / "here").iterdir()), "no second installation"


KNOWN = {"WATCHER_DELEGATION_ALLOW", "WATCHER_REDIS_URL", "WATCHER_PUBLIC_URL"}


@pytest.mark.parametrize("ours", [True, False])
def test_a_misspelled_setting_is_named_with_what_was_meant(ours: bool) -> None:
    found = names.unknown(["WATCHER_DELEGATON_ALLOW", "PATH"], KNOWN, ours=ours)
    assert found == [
        "unknown setting WATCHER_DELEGATON_ALLOW: did you mean WATCHER_DELEGATION_ALLOW?"
    ]


def test_what_others_put_into_the_environment_is_let_be() -> None:
    others = ["WATCHER_SERVICE_HOST", "WATCHER_PORT", "WATCHER_REDIS_PORT", *names.OTHERS]
    assert names.unknown(others, KNOWN, ours=False) == []
    assert len(names.unknown(others, KNOWN, ours=True)) == 3, "a settings file is ours alone"


@pytest.mark.parametrize("place", ["environment", "file"])
def test_a_misspelled_setting_is_refused(tmp_path: Path, place: str) -> None:
    name = "WATCHER_DELEGATON_ALLOW"
    if place == "file":
        (tmp_path / "here" / ".env").write_text(f"{name}=@example.com\n")
    with pytest.raises(UserError, match="did you mean WATCHER_DELEGATION_ALLOW"):
        load({name: "@example.com"} if place == "environment" else {}, tmp_path / "here")


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("ERPNEXT_URL", "https://erp.example.com/app", "must end with the host"),
        ("ERPNEXT_URL", "https://erp.example.com/?x=1", "without /app"),
        ("PUBLIC_URL", "https://example.com/watcher/", "https://example.com (Watcher's pages"),
    ],
)
def test_an_address_with_a_path_is_refused_with_the_reason(
    tmp_path: Path, name: str, value: str, says: str
) -> None:
    with pytest.raises(UserError) as found:
        load({f"WATCHER_{name}": value}, tmp_path / "here")
    assert says in found.value.message


def test_a_port_and_a_slash_at_the_end_are_fine(tmp_path: Path) -> None:
    loaded = load({"WATCHER_ERPNEXT_URL": "http://erp.example.com:8000/"}, tmp_path / "here")
    assert loaded.settings.erpnext_url == "http://erp.example.com:8000"


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("https://watcher.example.com:abc", "has a port"),
        ("https://watcher.example.com:99999", "has a port"),
        ("https://[::1", "an IPv6 address that is none"),
        ("https://watcher example.com", "a space"),
        ("https://watcher.example.com./", "no dot behind"),
        ("https://user:secret@watcher.example.com", "a user name"),
    ],
)
def test_an_address_that_google_could_not_call(address: str, says: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"WATCHER_PUBLIC_URL: .*{says}") as refused:
        load({"WATCHER_PUBLIC_URL": address}, tmp_path)
    assert "secret" not in refused.value.message
    assert load({"WATCHER_PUBLIC_URL": "http://[::1]:8080"}, tmp_path).settings


@pytest.mark.parametrize("sign", "#/?")
def test_a_password_that_cuts_the_queue_s_address(sign: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="WATCHER_REDIS_URL: has a password in which") as refused:
        load({"WATCHER_REDIS_URL": f"redis://:hid{sign}den@127.0.0.1:6379/0"}, tmp_path)
    assert "hid" not in refused.value.message
    for fine in ("redis://127.0.0.1", "rediss://:hid%23den@127.0.0.1:6379/0?ssl_cert_reqs=none"):
        assert load({"WATCHER_REDIS_URL": fine}, tmp_path).settings.redis_url == fine


def test_a_line_that_says_nothing_is_named_by_its_number(tmp_path: Path) -> None:
    """It would be left out without a word, and what it set would be the default."""
    (tmp_path / ".env").write_text(
        "WATCHER_POLL_MINUTES=11\n"
        "WATCHER_ERPNEXT_API_SECRET 'hidden'\n"
        "export WATCHER_SWEEP_SECONDS = 7\n"
        "WATCHER_SMTP_URL\n"
        "WATCHER_COMPANY_NAME='Scoops' and Joy\n"
        'WATCHER_NOTIFY_FROM="hidden\n'
    )
    with pytest.raises(UserError) as refused:
        load({}, tmp_path)
    file, said = tmp_path / ".env", refused.value.message
    assert said.splitlines()[1:] == [
        f"  - line 2 of {file} is not NAME=value",
        f"  - line 4 of {file} has no = and no value",
        f"  - line 5 of {file} goes on behind the closing quote",
        f"  - line 6 of {file} begins with a quote that is not closed",
    ]


def test_a_file_that_is_not_there_is_named_as_it_was_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHER_CONFIG", "unset below")
    monkeypatch.setenv(files.TYPED, "")
    typed = CliRunner().invoke(cli, ["config", "show", "--config", "/none"])
    assert "--config names /none" in str(typed.exception)
    with pytest.raises(UserError, match="WATCHER_CONFIG names"):
        load({"WATCHER_CONFIG": "/none"}, tmp_path)


def test_what_cannot_be_written_is_told_with_why_and_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file" / "backups", Path("/proc/backups")):
        with pytest.raises(UserError) as refused, files.writing(path):
            path.mkdir()
        assert str(path) in refused.value.message
        assert "name" in refused.value.next_step
    with pytest.raises(UserError) as refused, files.writing(tmp_path / "backups"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert "free the disk" in refused.value.next_step


def test_a_key_that_init_has_made_and_nothing_names_is_pointed_at(tmp_path: Path) -> None:
    made = tmp_path / "secret.key"
    made.write_text("k" * 40)
    settings = load({"WATCHER_DATA_DIR": str(tmp_path)}, tmp_path).settings
    with pytest.raises(UserError, match="has made") as refused:
        Keyring.of(settings)
    assert refused.value.next_step.endswith(f"WATCHER_SECRET_KEYS_FILE={made}")


def test_long_lines_are_folded_between_words_and_what_is_pasted_is_not() -> None:
    line = "  the field custom_google_sync_key of Event is there already and was left as it is"
    lines = folded(line, 40).split("\n")
    assert max(map(len, lines)) <= 40
    assert " ".join(lines).split() == line.split(), "no word is broken"
    assert all(each.startswith("    ") for each in lines[1:])
    pasted = "  do: watcher calendars add ann@example.com a-very-long-id@group.calendar.google.com"
    assert folded(pasted, 40) == pasted


@pytest.mark.parametrize(
    ("title", "says"),
    [
        ("x" * 61, "at most 60 characters"),
        ("Bu\nsy", "must be one line"),
        ("Bu\u200bsy", "must be one line"),
        ("...", "must have a letter"),
        ("<b>Busy</b>", "must not have any of"),
        ('{"a": 1}', "must not have any of"),
    ],
)
@pytest.mark.parametrize("name", ["BUSY_TITLE", "FREE_TITLE"])
def test_a_title_that_would_not_be_known_again(
    name: str, title: str, says: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=f"WATCHER_{name}: .*{says}"):
        load({f"WATCHER_{name}": title}, tmp_path)


@pytest.mark.parametrize("title", ["Beschäftigt", "व्यस्त", "Ocupado (privado)", "忙", "Busy 🙈"])
def test_a_title_in_any_language_is_fine(title: str, tmp_path: Path) -> None:
    assert load({"WATCHER_BUSY_TITLE": f" {title} "}, tmp_path).settings.busy_title == title
    assert load({"WATCHER_BUSY_TITLE": " "}, tmp_path).settings.busy_title == "Busy"
