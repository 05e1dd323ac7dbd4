"""What deploy/ says is true: settings, commands, and a backup that can be restored."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import click
import pytest

from tests.waiting import wait_for
from watcher.cli import cli
from watcher.ledger import accounts
from watcher.ledger.db import Database
from watcher.ledger.states import AccountState
from watcher.settings import SECRETS, env_name, fields, load

DEPLOY = Path(__file__).parents[2] / "deploy"
CALLS = [
    (file.name, call)
    for file in sorted(DEPLOY.iterdir())
    if file.name in ("crontab.example", "compose.yaml", "Dockerfile") or file.suffix == ".service"
    for call in re.findall(r"/watcher ((?:--no-input )?[a-z][^\n>#]*)", file.read_text())
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


@pytest.mark.parametrize("told", ["by the environment", "by the settings file"])
@pytest.mark.system
def test_a_backup_taken_while_the_ledger_is_written_can_be_restored(
    tmp_path: Path, told: str
) -> None:
    """Cron gives no environment but what its own file says, such as WATCHER_CONFIG."""
    data, config = tmp_path / "data", tmp_path / "watcher.env"
    config.write_text(f"# ours\nWATCHER_DATA_DIR={data}\n")
    setting = {
        "by the environment": {"WATCHER_DATA_DIR": str(data)},
        "by the settings file": {"WATCHER_CONFIG": str(config)},
    }[told]
    data.mkdir()
    db = Database(f"sqlite:///{data / 'ledger.sqlite3'}")
    db.migrate()
    stop = threading.Event()
    written: list[str] = []

    def write() -> None:
        while not stop.is_set():
            email = f"e{len(written)}@scoopjoy.test"
            with db.session() as session:
                accounts.add(
                    session,
                    email=email,
                    source="oauth",
                    state=AccountState.INVITED,
                    now=datetime.now(UTC),
                )
            written.append(email)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        before = wait_for(lambda: len(written) >= 10 and list(written), what="ten rows")
        done = subprocess.run(
            [DEPLOY / "backup.sh", tmp_path / "backups"],
            text=True,
            capture_output=True,
            check=True,
            timeout=60,
            env={"PATH": os.environ["PATH"], "PYTHON": sys.executable, **setting},
        )
    finally:
        stop.set()
        writer.join()
        db.dispose()
    copy = Path(done.stdout.strip())
    assert copy.stat().st_mode & 0o077 == 0
    connection = sqlite3.connect(copy)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
    restored = Database(f"sqlite:///{copy}")
    restored.migrate()
    with restored.session() as session:
        assert {a.email for a in accounts.everyone(session)} >= set(before or ())
    restored.dispose()


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
