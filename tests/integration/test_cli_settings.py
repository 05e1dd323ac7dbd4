"""The first minutes with Watcher: init, settings from every source, help, and what is said about
everything that is missing or wrong."""

from __future__ import annotations

import re
import shlex
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from dotenv import dotenv_values

from tests.company import ANN, CLIENT_SECRET, Company
from tests.integration.test_cli_runner import Done, run
from watcher import __version__
from watcher.cli import cli
from watcher.cli.examples import EXAMPLES
from watcher.settings import NEEDED, fields, load


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """Nothing here has to do with the kind of database."""
    return f"sqlite:///{tmp_path / 'ledger.sqlite3'}"


@pytest.fixture
def fresh(company: Company) -> Company:
    """A machine on which nothing is set."""
    company.environ = {}
    return company


def mode(path: Path) -> str:
    return oct(stat.S_IMODE(path.stat().st_mode))


def commands(
    group: click.Group, above: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in group.commands.items():
        yield (*above, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*above, name))


COMMANDS = list(commands(cli.complete()))


def test_init_writes_a_commented_file_and_a_key_once(fresh: Company) -> None:
    folder = fresh.folder
    run(fresh, "init", says=("secret.key: keep a copy", f"wrote {folder}/.env", "config validate"))
    settings, key = folder / ".env", folder / "watcher-data" / "secret.key"
    assert (mode(settings), mode(key), mode(key.parent)) == ("0o600", "0o600", "0o700")
    assert mode(key.parent / "ledger.sqlite3") == "0o600"
    text, secret = settings.read_text(), key.read_text()
    assert len(secret.strip()) >= 32
    assert secret.strip() not in text
    for name, info in fields().items():
        assert info.description, name
        assert f"# {info.description}\n" in text
        assert re.search(rf"^(# )?WATCHER_{name.upper()}(_FILE)?=", text, re.MULTILINE), name
    # As it is, it says what is still to be filled in, and nothing that it should not.
    done = run(fresh, "config", "validate", code=2, says=("WATCHER_PUBLIC_URL is not set",))
    assert "WATCHER_SECRET_KEYS" not in done.says
    settings.write_text(text + "WATCHER_SWEEP_SECONDS=3\n")
    run(fresh, "init", says=("was kept", "was left as it is"))
    assert settings.read_text().endswith("WATCHER_SWEEP_SECONDS=3\n")
    assert key.read_text() == secret


@pytest.mark.parametrize("by", ["--config", "WATCHER_CONFIG"])
def test_init_writes_the_file_that_is_named(
    fresh: Company, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not another one in the working directory; from any folder the data are those beside it."""
    place = fresh.folder / "etc"
    file = place / "watcher.env"
    words = ["init"]
    if by == "--config":
        words += [by, str(file)]
    else:
        fresh.environ["WATCHER_CONFIG"] = str(file)
    run(fresh, *words, code=2, says=(f"{place} is not there", f"do: mkdir -p {place}"))
    place.mkdir()
    run(fresh, *words, says=(f"wrote {file}",))
    assert not (fresh.folder / ".env").exists()
    assert not (fresh.folder / "watcher-data").exists()
    assert (place / "watcher-data" / "secret.key").is_file()
    assert (place / "watcher-data" / "ledger.sqlite3").is_file()
    assert f"WATCHER_DATA_DIR={place / 'watcher-data'}" in file.read_text().splitlines()
    before = file.read_text()
    run(fresh, *words, says=("was kept", f"{file} is there already and was left as it is"))
    assert file.read_text() == before


def test_a_file_that_is_there_is_never_overwritten(fresh: Company) -> None:
    mine = fresh.folder / ".env"
    mine.write_text("WATCHER_LOG_FORMAT=json\n")
    key = fresh.folder / "watcher-data" / "secret.key"
    run(fresh, "init", says=("was left as it is", f"add to it: WATCHER_SECRET_KEYS_FILE={key}"))
    assert mine.read_text() == "WATCHER_LOG_FORMAT=json\n"
    key.unlink()
    mine.write_text(f"WATCHER_SECRET_KEYS_FILE={key}\n")
    run(fresh, "init", says=("No such file",))
    assert not key.exists(), "a new key opens nothing that the lost one has closed"


def test_the_file_that_init_wrote_is_read_back_with_its_defaults(fresh: Company) -> None:
    run(fresh, "init")
    before = run(fresh, "config", "show", "--json").data
    text = (fresh.folder / ".env").read_text()
    opened = re.sub(r"^# (WATCHER_)", r"\1", text, flags=re.MULTILINE)
    (fresh.folder / ".env").write_text(opened)
    after = run(fresh, "config", "show", "--json").data
    assert {k: v["value"] for k, v in after.items()} == {k: v["value"] for k, v in before.items()}
    assert len(dotenv_values(fresh.folder / ".env")) == len(fields())


@pytest.mark.parametrize("quote", ["", "'", '"'])
def test_a_secret_with_a_dollar_is_what_was_written(tmp_path: Path, quote: str) -> None:
    secret = "ab${HOME}cd$x" + "e" * 32
    (tmp_path / ".env").write_text(f"WATCHER_ERPNEXT_API_SECRET={quote}{secret}{quote}\n")
    loaded = load({"HOME": "/root"}, tmp_path)
    assert loaded.settings.erpnext_api_secret.get_secret_value() == secret


def test_show_names_the_source_and_masks_secrets(company: Company) -> None:
    secret = company.folder / "api-secret"
    secret.write_text(company.environ.pop("WATCHER_ERPNEXT_API_SECRET") + "\n")
    other = company.folder / "other.env"
    other.write_text(
        "WATCHER_SWEEP_SECONDS=7\nWATCHER_POLL_MINUTES=9\n"
        f"WATCHER_ERPNEXT_API_SECRET_FILE={secret}\n"
    )
    (company.folder / ".env").write_text("WATCHER_SWEEP_SECONDS=8\n")
    company.environ |= {
        "WATCHER_CONFIG": str(other),
        "WATCHER_POLL_MINUTES": "11",
        "WATCHER_DATABASE_URL": "postgresql+psycopg://watcher:hidden-password@db.example/watcher",
        "WATCHER_REDIS_URL": "redis://redis.example:6379/0?password=hidden-password",
    }
    shown = run(company, "config", "show", "--json")
    values = shown.data
    assert set(values) == {f"WATCHER_{name.upper()}" for name in fields()}
    assert values["WATCHER_SWEEP_SECONDS"] == {"value": "7.0", "source": str(other)}
    assert values["WATCHER_POLL_MINUTES"] == {"value": "11.0", "source": "environment"}
    assert values["WATCHER_RENEW_PER_MINUTE"]["source"] == "default"
    assert values["WATCHER_ERPNEXT_API_SECRET"] == {
        "value": "********",
        "source": f"{other}, WATCHER_ERPNEXT_API_SECRET_FILE",
    }
    assert values["WATCHER_SECRET_KEYS"]["value"] == "********"
    assert "@db.example/watcher" in values["WATCHER_DATABASE_URL"]["value"]
    table = run(company, "config", "show")
    assert table.err == ""
    for line in table.out.splitlines():
        assert line == line.rstrip(), "a table in a pipe has no trailing blanks"
    for hidden in (
        company.key,
        company.site.api_key,
        secret.read_text().strip(),
        CLIENT_SECRET,
        "hidden-password",
    ):
        assert hidden not in shown.out + table.out
    # Without WATCHER_CONFIG the file of the working directory counts.
    del company.environ["WATCHER_CONFIG"]
    shown = run(company, "config", "show", "--json")
    assert shown.data["WATCHER_SWEEP_SECONDS"]["value"] == "8.0"


WRONG = {
    "PUBLIC_URL": ("http://watcher.example.com", "must be https"),
    "SECRET_KEYS": ("short-but-secret", "each key needs at least 32 characters"),
    "ERPNEXT_URL": ("ftp://erp", "must be an http"),
    "GOOGLE_API_URL": ("https://user:pass-in-url@google.example", "must not carry a user name"),
    "ERPNEXT_TIME_ZONE": ("Kolkata", "is not an IANA time zone"),
    "WINDOW_PAST_DAYS": ("-1", "must be 0 or more"),
    "WINDOW_FUTURE_DAYS": ("soon", "must be a whole number"),
    "DEFAULT_EVENT_TYPE": ("Open", "one of 'Public', 'Private'"),
    "PRIVATE_EVENTS": ("hide", "one of 'busy', 'private', 'skip'"),
    "DECLINED_EVENTS": ("no", "one of 'skip', 'mirror'"),
    "CANCELLED_EVENTS": ("no", "one of 'cancel', 'delete'"),
    "POLL_MINUTES": ("0", "must be more than 0"),
    "UNWATCHED_POLL_MINUTES": ("x", "must be a number"),
    "SWEEP_SECONDS": ("-3", "must be more than 0"),
    "CHANNEL_TTL_SECONDS": ("5", "must be 60 or more"),
    "RENEW_PER_MINUTE": ("0", "must be 1 or more"),
    "ADMIN_EMAILS": ("ann@example.com;bob@example.com", "with commas between them"),
    "DELEGATION_ALLOW": ("example.com", "addresses or @domains with commas"),
    "LOG_FORMAT": ("xml", "'console', 'json'"),
}


def test_everything_malformed_and_missing_is_named_at_once(company: Company) -> None:
    company.environ |= {f"WATCHER_{name}": value for name, (value, _) in WRONG.items()}
    for gone in ("ERPNEXT_API_KEY", "ERPNEXT_API_SECRET", "GOOGLE_CLIENT_SECRET"):
        del company.environ[f"WATCHER_{gone}"]
    company.set("google_service_account_file", "no-such-key.json")
    done = run(company, "config", "validate", code=2)
    named = [f"WATCHER_{name}: " for name in WRONG]
    for part in (*named, *(text for _, text in WRONG.values())):
        assert part in done.says, part
    for missing in ("ERPNEXT_API_KEY", "ERPNEXT_API_SECRET", "GOOGLE_CLIENT_SECRET"):
        assert f"WATCHER_{missing} is not set" in done.says
    assert "no-such-key.json is not a file" in done.says
    assert done.err.count("  - ") == len(WRONG) + 4, "each problem once"
    assert "do: correct them" in done.says
    for hidden in ("short-but-secret", "pass-in-url"):
        assert hidden not in done.says
    for process in ("up", "web", "worker", "cron"):
        assert run(company, process, code=2).err == done.err


def test_nothing_set_at_all(fresh: Company) -> None:
    done = run(fresh, "config", "validate", code=2, says=("no way to Google is set",))
    for name in NEEDED:
        assert f"WATCHER_{name.upper()} is not set" in done.says


@pytest.mark.parametrize(
    ("named", "says"),
    [
        ("none.env", "which is not a file"),
        (".", "which is not a file"),
        ("binary.env", "binary.env"),
    ],
)
def test_a_settings_file_that_cannot_be_read(fresh: Company, named: str, says: str) -> None:
    (fresh.folder / "binary.env").write_bytes(bytes(range(255)))
    fresh.environ["WATCHER_CONFIG"] = named
    done = run(fresh, "config", "show", code=2, says=(says,))
    assert "WATCHER_CONFIG" in done.says or "settings" in done.says


@pytest.mark.parametrize(
    ("name", "value", "code", "says"),
    [
        ("DATABASE_URL", "nonsense", 2, "e.g. postgresql+psycopg://"),
        ("DATABASE_URL", "postgres://u:hidden-pw@127.0.0.1:9/x", 2, "begins with postgres://"),
        ("DATABASE_URL", "mysql://u:hidden-pw@127.0.0.1:9/x", 2, "begins with mysql://"),
        ("DATABASE_URL", "postgresql+psycopg://u:hidden-pw@127.0.0.1:9/x", 6, "check WATCHER_DATA"),
        ("DATABASE_URL", "sqlite:////proc/none/x.sqlite3", 6, "/proc/none"),
        ("SECRET_KEYS_FILE", "none", 2, "WATCHER_SECRET_KEYS_FILE: none: No such file"),
    ],
)
def test_what_cannot_be_opened(
    company: Company, name: str, value: str, code: int, says: str
) -> None:
    if name == "SECRET_KEYS_FILE":
        del company.environ["WATCHER_SECRET_KEYS"]
    company.environ[f"WATCHER_{name}"] = value
    done = run(company, "status", code=code, says=(says,))
    assert "hidden-pw" not in done.says


def test_version_as_text_and_as_json(fresh: Company) -> None:
    assert run(fresh, "version").out.startswith(f"watcher {__version__} (Python 3.")
    assert set(run(fresh, "version", "--json").data) == {"version", "python"}
    assert run(fresh, "--version").out.split()[-1] == __version__


@pytest.mark.parametrize("path", [(), *(words for words, _ in COMMANDS)], ids=" ".join)
def test_every_command_explains_itself(path: tuple[str, ...]) -> None:
    for flag in ("--help", "-h"):
        shown = CliRunner(env={"COLUMNS": "80"}).invoke(cli, [*path, flag], prog_name="watcher")
        assert shown.exit_code == 0
        assert shown.output.startswith(f"Usage: watcher {' '.join(path)}")
        assert "..." not in shown.output.partition("Options:")[2].partition("Examples:")[0], (
            "cut off: give it a short_help"
        )
        assert max(len(line) for line in shown.output.splitlines()) <= 80
    for words, command in COMMANDS:
        if words == path:
            for option in command.params:
                if isinstance(option, click.Option):
                    assert option.help, f"{path} {option.name} has no help"


def test_every_command_has_examples_that_can_be_typed() -> None:
    commands = {" ".join(words): c for words, c in COMMANDS if not isinstance(c, click.Group)}
    assert set(EXAMPLES) == set(commands)
    for path, examples in EXAMPLES.items():
        for words, what in examples:
            line = f"watcher {path} {words}".rstrip()
            shown = CliRunner(env={"COLUMNS": "80"}).invoke(cli, [*path.split(), "--help"])
            assert line in shown.output
            assert what in shown.output
            given = shlex.split(words)
            if path != "demo":  # the file is the reader's own
                with commands[path].make_context(path, given) as context:
                    assert not context.args, line


@pytest.mark.parametrize("words", [words for words, _ in COMMANDS], ids=" ".join)
def test_options_of_all_commands_are_taken_on_either_side(words: tuple[str, ...]) -> None:
    for options in (("--no-input",), ("-v",), ("--verbose",), ("--json",)):
        for line in ((*options, *words, "--help"), (*words, *options, "--help")):
            shown = CliRunner().invoke(cli, line, prog_name="watcher")
            assert shown.exit_code == 0, (line, shown.output)


def test_json_on_either_side_is_the_same(fresh: Company) -> None:
    assert run(fresh, "--json", "version").data == run(fresh, "version", "--json").data
    assert run(fresh, "init", "--no-input", "--json", "-v").data == {"code": 0}
    assert (
        run(fresh, "--json", "config", "show").data == run(fresh, "config", "show", "--json").data
    )
    run(fresh, "up", "--json", code=2, says=("there is no --json",))


def test_a_question_is_not_asked_wherever_it_says_so(company: Company) -> None:
    company.connect()
    for words in (
        ("--no-input", "accounts", "disconnect"),
        ("accounts", "--no-input", "disconnect"),
        ("accounts", "disconnect", "--no-input"),
    ):
        run(company, *words, ANN, code=2, says=("This is not a terminal to ask on",))


def test_what_interface_promises_is_there() -> None:
    there = {" ".join(words) for words, _ in COMMANDS}
    assert there >= {
        "init",
        "doctor",
        "up",
        "web",
        "worker",
        "cron",
        "erpnext setup",
        "accounts add",
        "accounts invite",
        "accounts import",
        "accounts list",
        "accounts show",
        "accounts pause",
        "accounts resume",
        "accounts disconnect",
        "calendars list",
        "calendars add",
        "calendars remove",
        "channels list",
        "channels renew",
        "channels stop",
        "tokens list",
        "tokens renew",
        "resync",
        "verify",
        "status",
        "queue show",
        "queue retry",
        "keys list",
        "keys add",
        "keys rotate",
        "demo",
        "sandbox google",
        "sandbox erpnext",
        "config show",
        "config validate",
        "version",
    }


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("nothing",), "there is no command `watcher nothing` do: `watcher --help`"),
        (("acounts",), "do: did you mean `watcher accounts`?"),
        (("accounts", "ad"), "do: did you mean `watcher accounts add`?"),
        (("accounts", "rmove"), "do: did you mean `watcher accounts disconnect`?"),
        (("accounts", "unpause"), "do: did you mean `watcher accounts resume`?"),
        (("calendars", "delete"), "do: did you mean `watcher calendars remove`?"),
        (("start",), "do: did you mean `watcher up`?"),
        (("accounts", "remove"), "needs EMAIL do: watcher accounts remove [OPTIONS] EMAIL"),
        (("accounts", "add"), "needs EMAIL do: watcher accounts add [OPTIONS] EMAIL"),
        (("accounts", "list", "x"), "takes no more words, and was given: x do: watcher acc"),
        (("accounts", "list", "--jsn"), "has no option --jsn do: did you mean `--json`?"),
        (("accounts", "list", "--json=1"), "--json takes no value do: `watcher accounts list -"),
        (("accounts", "add", "a@b.example", "--via"), "--via needs a value do: `watcher accounts"),
        (("accounts", "add", "a@b.example", "--via", "fax"), "--via is one of oauth, service-"),
        (("up", "--port", "70000"), "--port takes a number from 1 to 65535 do: `watcher up -"),
        (("up", "--port", "web"), "--port takes a number from 1"),
        (("up", "--workers", "0"), "--workers takes a number from 1 to 64"),
        (("demo", "--ics", "none.ics"), "--ics: File 'none.ics' does not exist. do: "),
        ((), "Usage: watcher"),
    ],
)
def test_typing_errors_are_told_with_a_way_out(
    fresh: Company, words: tuple[str, ...], says: str
) -> None:
    done: Done = run(fresh, *words, code=2, says=(says,))
    assert done.out == ""


def test_both_ways_to_call_it_are_one(fresh: Company) -> None:
    script = Path(sys.executable).parent / "watcher"
    for command in ([str(script)], [sys.executable, "-m", "watcher"]):
        done = subprocess.run([*command, "nothing"], text=True, capture_output=True, check=False)
        assert done.returncode == 2
        assert re.search("there is no command `.*watcher nothing`", done.stderr)
