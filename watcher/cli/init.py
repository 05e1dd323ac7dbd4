"""``init``: from nothing to settings that both sides accept."""

from __future__ import annotations

import os
import re
import secrets as random_secrets
import sys
from contextlib import suppress
from pathlib import Path

import click

from watcher.cli import doctor, questions, units
from watcher.cli.common import App, messages, new_file, pass_app, read_settings
from watcher.cli.later import later
from watcher.errors import ExitCode, UserError, WatcherError

with later():
    from watcher import settings as declared
    from watcher.doctor import table
    from watcher.given import files, lines
    from watcher.ledger import db as database
    from watcher.ledger import ledger_file

HEADER = "# Watcher's settings. Lines that begin with # show the default.\n"
_PLAIN = re.compile(r"[\w@.:/,+=~%?&-]*")
_NEXT = (
    "next: `watcher erpnext setup`, `watcher up`; once somebody is connected `watcher doctor` says "
    "when Google has reached you"
)
_TO_FILL = "next: fill it in, then `watcher config validate`, `watcher erpnext setup`"


@click.command(short_help="Ask for the settings, try them, write them; make a key and a ledger.")
@click.option(
    "--from-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Take the answers from a settings file.",
)
@click.option(
    "--write",
    "kind",
    type=click.Choice(["systemd", "compose"]),
    help="Also write a systemd unit, or a compose file.",
)
@pass_app
def init(app: App, from_file: Path | None, kind: str | None) -> int:
    """Ask for the settings, try each answer at once, and write them; safe to repeat.

    Without a terminal, and with --no-input, it asks nothing and writes a commented .env to fill in.
    Where --config or WATCHER_CONFIG names a settings file, that one is written.
    """
    folder = Path.cwd()
    if kind == "compose":
        return _for_compose(app, folder, from_file)
    path = _settings_file(folder)
    named, folder = path != folder / ".env", path.parent
    is_there = path.exists()
    answers = {} if is_there else _answers(app, from_file)
    data_dir = folder / _data_dir(answers, is_there=is_there)
    key_file = data_dir / "secret.key"
    has_keys = _keys_are_named(path, answers, is_there=is_there)
    if key_file.exists() or not has_keys:
        _write_key(key_file)
    if is_there:
        messages.print(f"{path} is there already and was left as it is")
        if not has_keys:
            messages.print(f"  do: add to it: WATCHER_SECRET_KEYS_FILE={key_file}", markup=False)
    else:
        with new_file(path) as file:
            # Commands find it from any folder: so must what it says of the data.
            kept = {"WATCHER_DATA_DIR": str(data_dir)} if named else {}
            file.write(template(key_file, kept | answers))
        messages.print(f"wrote {path}")
    _make_ledger()
    if kind == "systemd":
        _write_unit(folder, path, data_dir)
    if not answers:
        messages.print(_TO_FILL if not is_there else "next: watcher doctor")
        return ExitCode.OK
    return _examine(app)


def _settings_file(folder: Path) -> Path:
    """The one that is to be written: what ``--config`` or WATCHER_CONFIG names, else ``.env``.
    Raises ``UserError`` where its folder is not there."""
    path = folder / (os.environ.get(files.CONFIG) or ".env")
    if not path.parent.is_dir():
        raise UserError(
            f"{path.parent} is not there, where the settings file is to be written",
            next_step=f"mkdir -p {path.parent}",
        )
    return path


def _answers(app: App, from_file: Path | None) -> questions.Answers:
    """From the file, or from the person at the terminal; none where there is no terminal."""
    if from_file is not None:
        return _read(from_file)
    if not can_ask(app):
        return {}
    try:
        return questions.ask()
    except click.Abort:
        messages.print("\nno settings were written")
        raise


def can_ask(app: App) -> bool:
    return not app.no_input and sys.stdin.isatty()


def _read(file: Path) -> questions.Answers:
    """Raises ``UserError`` for settings that do not exist, are malformed or missing."""
    try:
        values, problems = lines.read(file)
    except UnicodeDecodeError:
        raise UserError(
            f"{file} is not a text file in UTF-8",
            next_step="it has lines like WATCHER_PUBLIC_URL=https://watcher.example.com",
        ) from None
    if problems:
        raise UserError(
            "the file with the answers has problems:\n" + "\n".join(f"  - {p}" for p in problems),
            next_step="it has lines like WATCHER_PUBLIC_URL=https://watcher.example.com",
        )
    found = {k: v for k, v in values.items() if v}
    known = {declared.env_name(name) for name in declared.fields()}
    known |= {f"{declared.env_name(name)}_FILE" for name in declared.SECRETS}
    unknown = sorted(set(found) - known)
    if unknown:
        raise UserError(
            f"{file} names settings that do not exist: {', '.join(unknown)}",
            next_step="docs/settings.md has all of them",
        )
    # `init` makes the key itself.
    declared.load({"WATCHER_SECRET_KEYS": "k" * 32, **found}, complete=True)
    return found


def _examine(app: App) -> int:
    report = doctor.examined(app, table.AT_SETUP)
    if not app.as_json:
        doctor.show(report.findings)
    messages.print(_NEXT if report.healthy else "correct what fails above, then `watcher doctor`")
    return ExitCode.OK if report.healthy else ExitCode.UNHEALTHY


def _for_compose(app: App, folder: Path, from_file: Path | None) -> int:
    """Everything that the containers need; the ledger is made by them."""
    answers = _answers(app, from_file)
    if not answers:
        raise UserError(
            "a compose file needs the answers, and this is not a terminal to ask on",
            next_step="watcher init --write compose --from-file FILE",
        )
    for path in units.compose(folder, _with_secrets(answers)):
        messages.print(f"wrote {path}")
    if not units.give_to_containers(folder):
        messages.print(
            f"the user in the containers has to read these: sudo chown -R {units.IN_CONTAINERS} "
            f"{folder / 'secrets'}",
            markup=False,
        )
    messages.print("keep a copy of secrets/watcher_keys beside your backups")
    messages.print("next: docker compose up -d; docker compose exec web watcher erpnext setup")
    return ExitCode.OK


def _with_secrets(answers: questions.Answers) -> questions.Answers:
    """With the secrets themselves in place of the files that hold them."""
    settings = declared.load(answers).settings
    told = {k: v for k, v in answers.items() if k.removesuffix("_FILE") not in units.SECRETS}
    values = {
        declared.env_name(field): getattr(settings, field).get_secret_value()
        for field in declared.SECRETS
        if declared.env_name(field) in units.SECRETS
    }
    return told | values


def _write_unit(folder: Path, settings_file: Path, data_dir: Path) -> None:
    made = units.systemd(folder, settings_file, data_dir)
    for unit in made:
        messages.print(f"wrote {unit}")
    named = " ".join(str(unit) for unit in made)
    messages.print("next, as root:")
    messages.print(f"  cp {named} /etc/systemd/system/")
    messages.print("  systemctl enable --now watcher.socket watcher")


def _data_dir(answers: questions.Answers, *, is_there: bool) -> Path:
    """The data directory by the settings that are there, or by those that are being written."""
    default = declared.Settings().data_dir
    if not is_there:
        name = declared.env_name("data_dir")
        return Path(answers.get(name) or os.environ.get(name) or default)
    with suppress(WatcherError):  # settings that are wrong are told by what follows
        return read_settings().settings.data_dir
    return default


def _keys_are_named(path: Path, answers: questions.Answers, *, is_there: bool) -> bool:
    """Whether the settings hold keys, or name a file with them, so that none is to be made: also
    where that file is lost, since a new key opens nothing that the old one has closed."""
    if not is_there:
        return bool(answers.get("WATCHER_SECRET_KEYS") or answers.get("WATCHER_SECRET_KEYS_FILE"))
    with suppress(WatcherError):
        return bool(read_settings().settings.secret_keys.get_secret_value())
    written, _ = lines.read(path)
    return any(written.get(f"WATCHER_SECRET_KEYS{end}") for end in ("", "_FILE"))


def _write_key(key_file: Path) -> None:
    if key_file.exists():
        messages.print(f"{key_file} is there already and was kept")
        return
    with files.writing(key_file.parent):
        ledger_file.private_folder(key_file.parent)
    with new_file(key_file) as file:
        file.write(random_secrets.token_urlsafe(48) + "\n")
    messages.print(f"made {key_file}: keep a copy beside your backups")


def _make_ledger() -> None:
    """Make the ledger that the settings name. Where they are wrong `init` says so and goes on."""
    try:
        db = database.Database(read_settings().settings.ledger_url)
        db.migrate()
        db.dispose()
    except WatcherError as error:
        messages.print(f"no ledger was made: {error.message}", markup=False)


def template(key_file: Path, answers: questions.Answers) -> str:
    """Every setting with what it is: answered, needed, or shown with its default."""
    lines = [HEADER]
    for field, info in declared.fields().items():
        name = declared.env_name(field)
        given = next((each for each in (name, f"{name}_FILE") if answers.get(each)), None)
        lines.append(f"# {info.description}")
        if given is not None:
            lines.append(f"{given}={_quoted(answers[given])}\n")
        elif field == "secret_keys":
            lines.append(f"{name}_FILE={key_file}\n")
        elif field in declared.NEEDED:
            lines.append(f"{name}=\n")
        else:
            lines.append(f"# {name}={declared.plain(info.default)}\n")
    return "\n".join(lines)


def _quoted(value: str) -> str:
    """A value as a settings file needs it, so that it is read back as it is."""
    if _PLAIN.fullmatch(value):
        return value
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
