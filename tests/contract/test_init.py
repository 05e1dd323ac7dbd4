"""``watcher init``: what it asks, that it tries each answer, and what it writes."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from dotenv import dotenv_values

from tests.company import ADMIN, ANN, CLIENT_ID, CLIENT_SECRET
from tests.shop import Shop
from watcher.cli import init, units
from watcher.errors import ExitCode, UserError
from watcher.settings import load

DEPLOY = Path(__file__).parents[2] / "deploy"
ELSEWHERE = ("GOOGLE_API_URL", "GOOGLE_AUTH_URL", "GOOGLE_TOKEN_URL")


@pytest.fixture
def fresh(shop: Shop) -> Shop:
    """A machine on which nothing is set; Google is the stand-in."""
    shop.known = dict(shop.environ)  # type: ignore[attr-defined]
    shop.environ = {f"WATCHER_{n}": shop.environ[f"WATCHER_{n}"] for n in ELSEWHERE}
    (shop.folder / "empty").mkdir()
    shop.folder = shop.folder / "empty"
    return shop


def known(shop: Shop, name: str) -> str:
    return str(shop.known[f"WATCHER_{name}"])  # type: ignore[attr-defined]


def answers_of(shop: Shop, secret: str, *again: str) -> str:
    """What a person types: a secret that ERPNext refuses is followed by ``again``."""
    lines = [
        "both",
        "http://watcher.example.com",  # refused: not https
        known(shop, "PUBLIC_URL"),
        known(shop, "ERPNEXT_URL"),
        known(shop, "ERPNEXT_API_KEY"),
        secret,
        *again,
        "y",  # the fields
        "y",  # the role
        CLIENT_ID,
        CLIENT_SECRET,
        known(shop, "GOOGLE_SERVICE_ACCOUNT_FILE"),
        ANN,
        "Private",
        "",  # busy
        "",
        "60",
        "everybody",  # refused: no such choice
        "no",
        ADMIN,
        "",  # no mail server
    ]
    return "\n".join(lines) + "\n"


def test_each_answer_is_tried_at_once(fresh: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(init, "can_ask", lambda _app: True)
    for row in fresh.site.rows("Custom Field"):
        fresh.site.db.remove("Custom Field", row["name"])
    secret = known(fresh, "ERPNEXT_API_SECRET")
    typed = answers_of(fresh, "wrong-secret", "n", "", "", secret)
    done = fresh.invoke("init", input=typed)
    assert done.exception is None, done.output
    said = " ".join(done.output.split())
    assert "must be https" in said
    assert "ERPNext refused the API key" in said
    assert "every desk user of ERPNext can read them, and change them too" in said
    assert "fields made" not in said
    assert "made" in said
    assert "no longer has System Manager then" in said
    assert not fresh.site.is_system_manager("integration@scoopjoy.test")
    assert done.return_value == ExitCode.OK, done.output
    written = fresh.folder / ".env"
    assert written.stat().st_mode & 0o077 == 0
    settings = load({}, fresh.folder, complete=True).settings
    assert settings.erpnext_api_secret.get_secret_value() == secret
    assert (settings.default_event_type, settings.private_events) == ("Private", "busy")
    assert (settings.window_past_days, settings.window_future_days) == (7, 60)
    assert settings.find_calendars == "no"
    assert "who may look for people's further calendars at Google" in said
    assert settings.delegation_allow == (ANN,)
    assert "CLIENT_SECRET=client-secret-of-the-tests" in written.read_text()
    for hidden in (secret, "wrong-secret", CLIENT_SECRET):
        assert hidden not in done.output
    # Again: nothing is asked, nothing is changed.
    before = written.read_text()
    again = fresh.invoke("init", input="")
    assert again.return_value == ExitCode.OK
    assert written.read_text() == before


def answers_file(shop: Shop, **changes: str) -> Path:
    wanted = (
        "PUBLIC_URL",
        "ERPNEXT_URL",
        "ERPNEXT_API_KEY",
        "ERPNEXT_API_SECRET",
        "GOOGLE_CLIENT_ID",
        "GOOGLE_CLIENT_SECRET",
    )
    values = {name: known(shop, name) for name in wanted} | changes
    file = shop.folder / "answers.env"
    file.write_text("".join(f"WATCHER_{name}={value}\n" for name, value in values.items()))
    return file


def test_answers_from_a_file(fresh: Shop) -> None:
    done = fresh.invoke("init", "--no-input", "--from-file", str(answers_file(fresh)))
    assert done.return_value == ExitCode.OK, done.output
    assert "watcher doctor" in done.output
    assert load({}, fresh.folder, complete=True).settings.google_client_id == CLIENT_ID


@pytest.mark.parametrize(
    ("changes", "code", "says"),
    [
        ({"ERPNEXT_API_SECRET": "wrong"}, ExitCode.UNHEALTHY, "refused the API key"),
        ({"PRIVATE_EVENTS": "hide"}, None, "WATCHER_PRIVATE_EVENTS"),
        ({"ERPNEXT_URL": ""}, None, "WATCHER_ERPNEXT_URL is not set"),
        ({"ERPNEXT_ADDRESS": "x"}, None, "do not exist: WATCHER_ERPNEXT_ADDRESS"),
    ],
)
def test_wrong_answers_from_a_file(
    fresh: Shop, changes: dict[str, str], code: int | None, says: str
) -> None:
    done = fresh.invoke("init", "--from-file", str(answers_file(fresh, **changes)))
    if code is None:
        assert isinstance(done.exception, UserError)
        assert says in done.exception.message
        assert not (fresh.folder / ".env").exists()
    else:
        assert (done.return_value, says in done.output) == (code, True)


def test_a_file_with_answers_that_is_no_text(fresh: Shop) -> None:
    (fresh.folder / "answers").write_bytes(b"\xff\xfe\x00")
    done = fresh.invoke("init", "--from-file", str(fresh.folder / "answers"))
    assert isinstance(done.exception, UserError)
    assert "is not a text file in UTF-8" in done.exception.message


@pytest.mark.parametrize("value", ["plain", "with space", "it's", "a#b", "$HOME", 'a"b', "a\\b"])
def test_a_value_is_read_back_as_it_was_given(tmp_path: Path, value: str) -> None:
    text = init.template(tmp_path / "key", {"WATCHER_ERPNEXT_API_SECRET": value})
    (tmp_path / ".env").write_text(text)
    assert (
        dotenv_values(tmp_path / ".env", interpolate=False)["WATCHER_ERPNEXT_API_SECRET"] == value
    )


def test_the_key_is_made_where_the_data_is(fresh: Shop) -> None:
    """And none where the settings name one already, also when it is run again."""
    data, key = fresh.folder / "data", fresh.folder / "own-key"
    first = fresh.invoke("init", "--from-file", str(answers_file(fresh, DATA_DIR=str(data))))
    assert first.return_value == ExitCode.OK, first.output
    key.write_text((data / "secret.key").read_text())
    (data / "secret.key").unlink()
    settings = fresh.folder / ".env"
    settings.write_text(settings.read_text().replace(str(data / "secret.key"), str(key)))
    again = fresh.invoke("init")
    assert again.return_value == ExitCode.OK, again.output
    assert not (data / "secret.key").exists()
    assert not (fresh.folder / "watcher-data").exists()


def test_a_unit_for_systemd(fresh: Shop) -> None:
    file = answers_file(fresh)
    done = fresh.invoke("init", "--from-file", str(file), "--write", "systemd")
    assert done.return_value == ExitCode.OK, done.output
    text = (fresh.folder / "watcher.service").read_text()
    assert f"WATCHER_CONFIG={fresh.folder}/.env" in text
    assert f"ReadWritePaths={fresh.folder}/watcher-data" in text
    assert "/opt/watcher/.venv" not in text
    assert "NoNewPrivileges=yes" in text
    again = fresh.invoke("init", "--write", "systemd")
    assert isinstance(again.exception, UserError)
    assert "is there already" in again.exception.message


@pytest.mark.system
@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
def test_systemd_accepts_the_unit(fresh: Shop) -> None:
    made = units.systemd(fresh.folder, fresh.folder / ".env", fresh.folder)
    done = subprocess.run(
        ["systemd-analyze", "verify", *map(str, made)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_compose_file_with_its_secrets(fresh: Shop) -> None:
    file = answers_file(fresh)
    done = fresh.invoke("init", "--from-file", str(file), "--write", "compose")
    assert done.return_value == ExitCode.OK, done.output
    secrets = {path.name: path for path in (fresh.folder / "secrets").iterdir()}
    assert set(secrets) == {"watcher_keys", "google_client_secret", "erpnext_api_secret"}
    assert secrets["erpnext_api_secret"].read_text().strip() == known(fresh, "ERPNEXT_API_SECRET")
    assert all(path.stat().st_mode & 0o077 == 0 for path in secrets.values())
    told = dotenv_values(fresh.folder / "watcher.env")
    assert told["WATCHER_ERPNEXT_URL"] == known(fresh, "ERPNEXT_URL")
    assert not {"WATCHER_ERPNEXT_API_SECRET", "WATCHER_GOOGLE_CLIENT_SECRET"} & set(told)
    asked = dotenv_values(fresh.folder / ".env")
    assert set(asked) == {"PUBLIC_HOST", "POSTGRES_PASSWORD", "VALKEY_PASSWORD"}
    assert asked["PUBLIC_HOST"] == urlsplit(str(told["WATCHER_PUBLIC_URL"])).hostname
    if os.geteuid() == 0:
        assert {path.stat().st_uid for path in secrets.values()} == {units.IN_CONTAINERS}
    else:
        assert f"sudo chown -R {units.IN_CONTAINERS}" in done.output
    document = (fresh.folder / "compose.yaml").read_text()
    assert f"context: {DEPLOY.parent}" in document
    nobody = fresh.invoke("init", "--write", "compose")
    assert isinstance(nobody.exception, UserError)


def test_a_compose_file_with_the_key_of_a_service_account(fresh: Shop) -> None:
    """The containers see the folder of the secrets, and no other of this machine."""
    key = known(fresh, "GOOGLE_SERVICE_ACCOUNT_FILE")
    file = answers_file(fresh, GOOGLE_SERVICE_ACCOUNT_FILE=key, DELEGATION_ALLOW="@example.com")
    done = fresh.invoke("init", "--from-file", str(file), "--write", "compose")
    assert done.return_value == ExitCode.OK, done.output
    told = dotenv_values(fresh.folder / "watcher.env")["WATCHER_GOOGLE_SERVICE_ACCOUNT_FILE"]
    assert told is not None
    there = fresh.folder / "secrets" / Path(told).name
    assert Path(told).parent == Path(units.IN_SECRETS)
    assert there.read_text().strip() == Path(key).read_text().strip()
    assert there.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "name", ["watcher.service", "watcher.socket", "compose.yaml", "Caddyfile.example"]
)
def test_what_is_shipped_is_what_deploy_has(name: str) -> None:
    assert (units.SHIPPED / name).read_text() == (DEPLOY / name).read_text()


def test_a_site_that_refuses_the_key_is_offered_no_fields(
    fresh: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answers are kept all the same; the fields need a key that is good."""
    monkeypatch.setattr(init, "can_ask", lambda _app: True)
    lines = answers_of(fresh, "wrong-secret", "y").splitlines()
    for _ in range(2):  # of three: the questions about the fields and the role
        lines.remove("y")
    done = fresh.invoke("init", input="\n".join(lines) + "\n")
    assert done.exception is None, done.output
    assert "Keep these answers all the same?" in done.output
    assert "custom fields on Event now" not in done.output
    assert done.return_value == ExitCode.UNHEALTHY
