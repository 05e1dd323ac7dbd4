"""What ``watcher init --write`` makes: a systemd unit, or a compose file with its secrets.

The files in ``shipped/`` are those of the folder deploy/, which a wheel does not have.
"""

from __future__ import annotations

import os
import secrets
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from watcher.cli.common import new_file
from watcher.cli.later import later

with later():
    from watcher.given import files

SHIPPED = Path(__file__).parent / "shipped"
IN_CONTAINERS = 10001
"""The number of the user in deploy/Dockerfile."""
SECRETS = {
    "WATCHER_GOOGLE_CLIENT_SECRET": "google_client_secret",
    "WATCHER_ERPNEXT_API_SECRET": "erpnext_api_secret",
}
"""Settings that the compose file takes from files of these names."""
KEY = "WATCHER_GOOGLE_SERVICE_ACCOUNT_FILE"
IN_SECRETS = "/run/secrets/"
"""Where the containers see the folder ``secrets``."""
BESIDES = frozenset({"WATCHER_SECRET_KEYS", "WATCHER_DATABASE_URL", "WATCHER_REDIS_URL"})
"""Settings that the compose file sets itself."""


def systemd(folder: Path, settings_file: Path, data_dir: Path) -> list[Path]:
    """A unit for this installation, and its socket. Raises ``UserError`` where one is there
    already."""
    text = (SHIPPED / "watcher.service").read_text()
    program = Path(sys.executable).parent / "watcher"
    for there, here in (
        ("/opt/watcher/.venv/bin/watcher", program),
        ("/etc/watcher/watcher.env", settings_file),
        ("WATCHER_DATA_DIR=/var/lib/watcher", f"WATCHER_DATA_DIR={data_dir}"),
        ("WorkingDirectory=/var/lib/watcher", f"WorkingDirectory={folder}"),
    ):
        text = text.replace(there, str(here))
    user = settings_file.owner() if settings_file.exists() else "watcher"
    text = text.replace("User=watcher", f"User={user}").replace("Group=watcher\n", "")
    # The service may write nowhere else.
    text = text.replace("StateDirectory=watcher\n", f"ReadWritePaths={data_dir}\n")
    text = text.replace("StateDirectoryMode=0700\n", "")
    if any(str(path).startswith(("/home/", "/root/")) for path in (program, folder, data_dir)):
        text = text.replace("ProtectHome=yes\n", "")
    socket = (SHIPPED / "watcher.socket").read_text()
    return [
        _new(folder / "watcher.service", text, 0o644),
        _new(folder / "watcher.socket", socket, 0o644),
    ]


def compose(folder: Path, answers: Mapping[str, str]) -> list[Path]:
    """The compose file, Caddy's, the values that it asks for, and its secrets: a file each. Raises
    ``UserError`` where one of them is there already."""
    checkout = Path(__file__).parents[2]
    text = (SHIPPED / "compose.yaml").read_text()
    text = text.replace("context: ..", f"context: {checkout}")
    host = urlsplit(answers.get("WATCHER_PUBLIC_URL", "")).hostname or "watcher.example.com"
    passwords = (f"{name}_PASSWORD={secrets.token_hex(24)}\n" for name in ("POSTGRES", "VALKEY"))
    kept = {name: value for name, value in answers.items() if name not in {*SECRETS, *BESIDES}}
    store = folder / "secrets"
    with files.writing(store):
        store.mkdir(mode=0o700, exist_ok=True)
    found = {file: answers.get(name, "") for name, file in SECRETS.items()}
    found["watcher_keys"] = secrets.token_urlsafe(48)
    if kept.get(KEY):
        found["service-account.json"] = Path(kept[KEY]).read_text().strip()
        kept[KEY] = f"{IN_SECRETS}service-account.json"
    return [
        _new(folder / "compose.yaml", text, 0o644),
        _new(folder / "Caddyfile.example", (SHIPPED / "Caddyfile.example").read_text(), 0o644),
        _new(folder / ".env", f"PUBLIC_HOST={host}\n{''.join(passwords)}", 0o600),
        # Docker takes such a file as it is written: without quotes.
        _new(folder / "watcher.env", "".join(f"{k}={v}\n" for k, v in kept.items()), 0o600),
        *(_new(store / name, f"{value}\n", 0o600) for name, value in sorted(found.items())),
    ]


def give_to_containers(folder: Path) -> bool:
    """Docker shows the files of secrets to the containers as they are here, so that the user in
    them has to own them. False where only root could do that."""
    if os.geteuid() != 0:
        return False
    for path in (folder / "secrets", *(folder / "secrets").iterdir()):
        shutil.chown(path, IN_CONTAINERS, IN_CONTAINERS)
    return True


def _new(path: Path, text: str, mode: int) -> Path:
    with new_file(path, mode, "move it away, or run this in another folder") as file:
        file.write(text)
    return path
