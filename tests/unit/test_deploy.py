"""What deploy/ says is true: settings, commands, and a backup that can be restored."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from watcher.cli import cli
from watcher.ledger import backup
from watcher.ledger.db import REVISIONS, Database
from watcher.settings import SECRETS, env_name, fields, load

DEPLOY = Path(__file__).parents[2] / "deploy"
CALLS = [
    (file.name, call)
    for file in sorted(DEPLOY.iterdir())
    if file.name in ("crontab.example", "compose.yaml", "Dockerfile") or file.suffix == ".service"
    for call in re.findall(r"/watcher ((?:--no-input )?[a-z][^\n>#)]*)", file.read_text())
]


def test_env_example_names_every_setting_once() -> None:
    named = re.findall(r"^#? ?(WATCHER_[A-Z_]+)=", (DEPLOY / "env.example").read_text(), re.M)
    wanted = [f"{env_name(f)}_FILE" if f in SECRETS else env_name(f) for f in fields()]
    assert named == wanted


def test_env_example_filled_in_is_complete(tmp_path: Path) -> None:
    text = (DEPLOY / "env.example").read_text()
    secret = tmp_path / "secret"
    secret.write_text("s" * 40 + "\n")
    text = re.sub(r"_FILE=/etc/watcher/\S+", f"_FILE={secret}", text)
    text = re.sub(r"^(WATCHER_(?:GOOGLE_CLIENT_ID|ERPNEXT_API_KEY))=$", r"\1=x", text, flags=re.M)
    (tmp_path / "watcher.env").write_text(text)
    loaded = load({"WATCHER_CONFIG": "watcher.env"}, tmp_path, complete=True)
    assert loaded.settings.erpnext_api_secret.get_secret_value() == "s" * 40


@pytest.mark.parametrize(("file", "call"), CALLS)
def test_commands_exist(file: str, call: str) -> None:
    words = [w for w in call.split() if w != "--no-input"]
    command: click.Command = cli.complete()
    while isinstance(command, click.Group) and words:
        command = command.commands[words.pop(0)]
    options = {o for p in command.params for o in p.opts}
    assert all(word in options for word in words if word.startswith("--")), f"{file}: {call}"


def test_nginx_keeps_no_connect_links_and_codes_while_watcher_is_down() -> None:
    text = (DEPLOY / "nginx.conf.example").read_text()
    block = text.partition("location ~ ^/(connect|oauth)/ {")[2].partition("}")[0]
    assert "error_log /dev/null" in block
    assert "proxy_pass" in block


@pytest.mark.parametrize("name", ["watcher", "watcher-web"])
def test_systemd_hands_over_one_socket_where_the_proxies_look_for_it(name: str) -> None:
    unit = (DEPLOY / f"{name}.socket").read_text()
    assert re.findall(r"^ListenStream=(.*)$", unit, re.M) == ["127.0.0.1:8080"]
    assert f"Requires={name}.socket" in (DEPLOY / f"{name}.service").read_text()
    assert "127.0.0.1:8080" in (DEPLOY / "nginx.conf.example").read_text()
    assert "127.0.0.1:8080" in (DEPLOY / "Caddyfile.example").read_text()


def test_proxies_let_go_whoever_is_slow_and_limit_pages_but_no_notifications() -> None:
    nginx = (DEPLOY / "nginx.conf.example").read_text()
    for name in ("client_header_timeout", "client_body_timeout", "send_timeout", "limit_conn "):
        assert f"    {name}" in nginx
    blocks = re.findall(r"location ([^{]+) \{([^}]*)\}", nginx)
    limited = {where for where, block in blocks if "limit_req zone=" in block}
    assert limited == {"~ ^/(connect|oauth)/", "/"}
    caddy = (DEPLOY / "Caddyfile.example").read_text()
    assert all(name in caddy for name in ("read_header", "read_body", "idle"))


def test_commands_were_found() -> None:
    assert {file for file, _ in CALLS} >= {"crontab.example", "watcher.service"}


@pytest.mark.system
def test_a_crontab_that_names_the_script_of_old_still_gets_a_backup(tmp_path: Path) -> None:
    """Cron gives no environment but what its own file says, such as WATCHER_CONFIG."""
    data, config = tmp_path / "data", tmp_path / "watcher.env"
    config.write_text(f"# ours\nWATCHER_DATA_DIR={data}\n")
    db = Database(f"sqlite:///{data / 'ledger.sqlite3'}")
    db.migrate()
    db.dispose()
    done = subprocess.run(
        [DEPLOY / "backup.sh", tmp_path / "backups"],
        text=True,
        capture_output=True,
        check=True,
        env={"PATH": os.environ["PATH"], "PYTHON": sys.executable, "WATCHER_CONFIG": str(config)},
    )
    assert backup.examine(Path(done.stdout.strip())).revision == REVISIONS[-1]


@pytest.mark.system
def test_a_crontab_line_says_nothing_unless_it_failed(tmp_path: Path) -> None:
    """Cron mails whatever a line says, on both streams, each time that it runs."""
    program = tmp_path / "watcher"
    program.write_text('#!/bin/sh\necho "the answer"; echo "a note" >&2; exit $CODE\n')
    program.chmod(0o755)
    lines = re.findall(r"^[*\d].*?  watcher  (.+)$", (DEPLOY / "crontab.example").read_text(), re.M)
    assert len(lines) == len([call for file, call in CALLS if file == "crontab.example"])
    for line in lines:
        said = {
            code: subprocess.run(
                ["/bin/sh", "-c", line.replace("/opt/watcher/.venv/bin/watcher", str(program))],
                text=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                check=False,
                env={"CODE": code},
            ).stdout.split("\n")
            for code in ("0", "1")
        }
        assert said == {"0": [""], "1": ["the answer", "a note", ""]}, line


# --- systemd --------------------------------------------------------------------------------

UNITS = sorted(path.name for path in (*DEPLOY.glob("*.service"), *DEPLOY.glob("*.socket")))
MOST_EXPOSED = 1.5
"""Of systemd's ten: ``systemd-analyze security`` says OK up to 4.9; a plain service has 9.6."""
systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")


@pytest.fixture(scope="module")
def as_installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The units with a program that is there: systemd looks for it."""
    folder = tmp_path_factory.mktemp("units")
    for name in UNITS:
        text = (DEPLOY / name).read_text()
        text = text.replace("/opt/watcher/.venv/bin/watcher", "/bin/true")
        (folder / name).write_text(text.replace("=watcher\nGroup=watcher", "=root"))
    return folder


@pytest.mark.system
@systemd
def test_systemd_accepts_the_units(as_installed: Path) -> None:
    names = [name.replace("@", "@live") for name in UNITS]
    for name in names:
        template = as_installed / name.replace("@live", "@")
        (as_installed / name).write_text(template.read_text())
    paths = [str(as_installed / name) for name in names]
    done = subprocess.run(["systemd-analyze", "verify", *paths], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.system
@systemd
@pytest.mark.parametrize("name", [name for name in UNITS if name.endswith(".service")])
def test_a_unit_that_is_broken_into_can_do_little(name: str) -> None:
    """Without a running systemd the file alone is looked at."""
    words = ("--offline=yes", f"--threshold={MOST_EXPOSED * 10:.0f}")
    done = subprocess.run(
        ["systemd-analyze", "security", *words, DEPLOY / name], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout


# --- an upgrade, and the way back -----------------------------------------------------------

STUBS = {
    # What it is asked to do is written down; what a version prints or does is in its checkout.
    # The first restore is refused: what was killed counts as running for a while.
    ".venv/bin/watcher": 'echo "watcher $*" >>"$CALLS"; [ "$2" = restore ] || { echo "$BACKUP"; '
    'exit 0; }; [ "$(grep -c " restore " "$CALLS")" -gt 1 ]',
    ".venv/bin/python": '[ "$1" = -m ] && { echo "pip" >>"$CALLS"; exit 0; }; exec "$PYTHON" "$@"',
    "bin/systemctl": 'echo "systemctl $*" >>"$CALLS"; rm -f "$READY"; '
    '[ "$1" = stop ] || { [ "$(cat "$UPGRADE_HOME/works")" = no ] || echo yes >"$READY"; }',
}


@pytest.fixture
def installation(tmp_path: Path) -> dict[str, str]:
    """A checkout of version 1 with versions 2 (works) and 3 (does not) to be had, stand-ins for its
    programs and for systemd, and the environment in which ``upgrade.sh`` finds them."""
    origin, home = tmp_path / "origin", tmp_path / "watcher"
    plain = ["-c", "user.name=T", "-c", "user.email=t@t.test", "-c", "init.defaultBranch=main"]

    def git(*words: str, where: Path = origin) -> None:
        subprocess.run(["git", *plain, *words], cwd=where, check=True, capture_output=True)

    origin.mkdir()
    git("init")
    (origin / "requirements-dev.lock").write_text("")
    (origin / "Makefile").write_text("install:\n\t@echo install $$(cat version) >>$$CALLS\n")
    for number, works in (("1", "yes"), ("2", "yes"), ("3", "no")):
        (origin / "works").write_text(works)
        (origin / "version").write_text(number)
        git("add", "-A")
        git("commit", "-m", number)
        git("tag", f"v{number}")
    git("clone", "-b", "v1", str(origin), str(home), where=tmp_path)
    for name, body in STUBS.items():
        path = (tmp_path if name.startswith("bin/") else home) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/bash\n{body}\n")
        path.chmod(0o755)
    return {
        "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
        "PYTHON": sys.executable,
        "CALLS": str(tmp_path / "calls"),
        "READY": str(tmp_path / "ready"),
        "BACKUP": "/backups/ledger-1.sqlite3",
        "UPGRADE_HOME": str(home),
        "UPGRADE_READY": (tmp_path / "ready").as_uri(),
        "UPGRADE_USER": "",
        "UPGRADE_PATIENCE": "1",
        "UPGRADE_PAUSE": "0.1",
    }


def upgrade(environ: dict[str, str], *words: str) -> tuple[int, str, list[str]]:
    """How it ended, what it said, and what it called since the last time."""
    calls = Path(environ["CALLS"])
    calls.write_text("")
    done = subprocess.run(
        [DEPLOY / "upgrade.sh", *words], env=environ, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stderr, calls.read_text().splitlines()


@pytest.mark.system
def test_an_upgrade_is_backed_up_installed_started_and_asked_whether_it_works(
    installation: dict[str, str],
) -> None:
    code, said, called = upgrade(installation, "v2")
    assert (code, called) == (
        0,
        [
            "watcher --no-input backup /var/backups/watcher",
            "pip",
            "systemctl stop watcher.socket watcher.service",
            "install 2",
            "systemctl start watcher.socket watcher.service",
        ],
    )
    assert "v2 runs; before it was v1" in said
    assert upgrade(installation, "v2")[2] == [], "nothing to do"
    assert upgrade(installation, "v9")[0] == 2


@pytest.mark.system
def test_a_version_that_does_not_work_is_taken_back_with_its_ledger(
    installation: dict[str, str],
) -> None:
    code, said, called = upgrade(installation)
    assert code == 1
    assert called[2:] == [
        "systemctl stop watcher.socket watcher.service",
        "install 3",
        "systemctl start watcher.socket watcher.service",
        "systemctl stop watcher.socket watcher.service",
        "install 1",
        *["watcher --no-input restore --yes /backups/ledger-1.sqlite3"] * 2,
        "systemctl start watcher.socket watcher.service",
    ]
    assert "the old version runs again" in said
    # What cannot be fetched is found out while the old version still runs.
    broken = STUBS[".venv/bin/python"].replace("exit 0", "exit 1")
    program = Path(installation["UPGRADE_HOME"], ".venv/bin/python")
    program.write_text(f"#!/bin/bash\n{broken}\n")
    code, _, called = upgrade(installation, "v2")
    assert code != 0
    assert not [call for call in called if "systemctl" in call], "nothing was stopped for it"


# --- Prometheus and Grafana ---------------------------------------------------------------

RULES = DEPLOY / "prometheus-rules.yaml"
promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="there is no promtool")


def exported() -> set[str]:
    """The metrics that operations.md lists, by the names that Prometheus gives to their parts."""
    page = (DEPLOY.parent / "docs/operations.md").read_text()
    names = set(re.findall(r"`(watcher_\w+)`", page.partition("## Metrics")[2]))
    return names | {f"{name}{end}" for name in names for end in ("_bucket", "_count")}


@pytest.mark.system
@promtool
def test_the_alarms_come_when_they_should(tmp_path: Path) -> None:
    told = (Path(__file__).parents[1] / "data/prometheus-rules-test.yaml").read_text()
    (tmp_path / "test.yaml").write_text(told.replace("RULES", str(RULES)))
    for words in (("check", "rules", str(RULES)), ("test", "rules", str(tmp_path / "test.yaml"))):
        done = subprocess.run(["promtool", *words], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("file", [RULES.name, "grafana-dashboard.json"])
def test_what_is_asked_of_prometheus_is_there(file: str) -> None:
    asked = re.findall(r"(?<![:\w])watcher_\w+", (DEPLOY / file).read_text())
    assert asked
    assert set(asked) <= exported()


def test_each_alarm_has_a_page_that_says_what_to_do() -> None:
    text = RULES.read_text()
    links = re.findall(r"runbook: (\S+)#(\S+)", text)
    assert len(links) == text.count("- alert: ")
    for page, anchor in links:
        heads = re.findall(r"^##+ (.+)$", (DEPLOY.parent / page).read_text(), re.M)
        slugs = {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}
        assert anchor in slugs, f"{page}#{anchor}"


def test_the_dashboard_can_be_imported() -> None:
    board = json.loads((DEPLOY / "grafana-dashboard.json").read_text())
    panels = board["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    recorded = set(re.findall(r"record: (\S+)", RULES.read_text()))
    for panel in panels:
        for target in panel["targets"]:
            assert set(re.findall(r"watcher:[\w:]+", target["expr"])) <= recorded, panel["title"]
