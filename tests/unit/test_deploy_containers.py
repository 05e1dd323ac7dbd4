"""What deploy/ says of containers is true, as far as that shows without an engine."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from googleapiclient import discovery_cache

from watcher import __version__
from watcher.cli import cli
from watcher.google import wire

DEPLOY = Path(__file__).parents[2] / "deploy"
COMPOSE = (DEPLOY / "compose.yaml").read_text()
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
README = (DEPLOY / "README.md").read_text()
HADOLINT = Path(sys.executable).parent / "hadolint"


def composed() -> Any:
    """The compose file as Docker would take it: variables filled in, merged, and every key and
    reference looked at (what ``docker compose config`` does)."""
    spec = pytest.importorskip("compose_spec", reason="pip install -r .ci/requirements.lock")
    asked = set(re.findall(r"\$\{(\w+):\?", COMPOSE))
    assert asked == {"PUBLIC_HOST", "POSTGRES_PASSWORD", "VALKEY_PASSWORD"}
    assert set(re.findall(r"\$\{(\w+)", COMPOSE)) == asked, (
        "each is asked for, or Docker fills in ''"
    )
    text = re.sub(r"\$\{(\w+)[^}]*\}", r"filled-in-\1", COMPOSE)
    found = spec.PyOptions(apply_merge=True).from_yaml(text)
    found.validate()
    return found.to_dict()


def test_compose_is_valid_and_shows_nothing_but_the_proxy() -> None:
    services = composed()["services"]
    assert set(services) == {"caddy", "web", "live", "backfill", "cron", "postgres", "valkey"}
    for name, service in services.items():
        assert service["restart"] == "unless-stopped"
        is_ours = service["image"].startswith("watcher:")
        assert is_ours or re.search(r":\d+\.\d+", service["image"]), "an exact version"
        if is_ours or name == "caddy":
            assert service["read_only"]
            assert service["cap_drop"] == ["ALL"]
        if is_ours:
            cli.complete().commands[service["command"][0]].make_context("x", service["command"][1:])
    open_ones = {name: service.get("ports") for name, service in services.items()}
    assert {name for name, ports in open_ones.items() if ports} == {"caddy", "web"}
    assert open_ones["web"] == ["127.0.0.1:8080:8080"]
    assert [services[name]["networks"] for name in ("postgres", "valkey")] == [["back"], ["back"]]
    assert composed()["networks"]["back"]["internal"]
    assert "filled-in-VALKEY_PASSWORD" in services["valkey"]["command"]
    assert services["web"]["image"] == f"watcher:{__version__}"


def test_the_image_is_made_of_exact_versions_alone() -> None:
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.M)
    assert len(bases) == 2
    assert len(set(bases)) == 1
    assert re.fullmatch(r"python:3\.11\.\d+-slim-bookworm", bases[0])
    installs = re.findall(r"pip install ([^\n\\]*)", DOCKERFILE)
    assert all("--require-hashes" in words or "--no-deps" in words for words in installs)
    assert "--no-build-isolation" in DOCKERFILE, "else hatchling would come as it is today"
    locked = re.compile(r"^([\w.-]+==\S+)", re.M)
    everything = locked.findall((DEPLOY.parent / "requirements-dev.lock").read_text())
    built = locked.findall((DEPLOY.parent / "requirements-build.lock").read_text())
    assert "hatchling" in {line.partition("==")[0] for line in built}
    assert set(built) <= set(everything)


def test_a_build_is_sent_what_the_image_is_made_of_and_nothing_else() -> None:
    """No secrets, no .git, no .venv."""
    everything, *let_through = [
        line
        for line in (DEPLOY.parent / ".dockerignore").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    copied = {
        word
        for words in re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.M)
        for word in words.split()
    }
    assert everything == "*"
    assert {line.removeprefix("!") for line in let_through if line.startswith("!")} == copied
    assert "**/__pycache__" in let_through


def test_the_image_keeps_the_description_of_the_api_that_is_called() -> None:
    found = re.search(r"discovery_cache/documents/\*' ! -name (\S+) -delete", DOCKERFILE)
    assert found is not None
    assert (Path(discovery_cache.__file__).parent / "documents" / found[1]).is_file()
    called = re.search(r'build\(\s*"(\w+)",\s*"(\w+)"', Path(wire.__file__).read_text())
    assert called is not None
    assert found[1] == f"{called[1]}.{called[2]}.json"


def test_every_file_of_a_secret_is_seen_in_the_containers() -> None:
    """Also the key of a service account, and what else somebody puts there."""
    ours = composed()["services"]["web"]
    volumes = (volume.split(":") for volume in ours["volumes"])
    folder = next(target for source, target, *_ in volumes if source == "./secrets")
    pointed = {v for k, v in ours["environment"].items() if k.endswith("_FILE")}
    assert len(pointed) == 3
    assert {str(Path(path).parent) for path in pointed} == {folder}


@pytest.mark.system
def test_the_digests_are_pinned_as_it_is_written(tmp_path: Path) -> None:
    """Of each image that comes from a registry; Watcher's own is in none."""
    block = re.search(r"^({ echo services:.*?)^docker compose -f", README, re.M | re.S)
    assert block is not None
    docker = tmp_path / "docker"
    docker.write_text(f"#!/bin/sh\necho sha256:{'a' * 64}\n")
    docker.chmod(0o755)
    (tmp_path / "compose.yaml").write_text(COMPOSE)
    subprocess.run(
        ["bash", "-euc", block[1]],
        cwd=tmp_path,
        check=True,
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
    )
    spec = pytest.importorskip("compose_spec", reason="pip install -r .ci/requirements.lock")
    pinned = spec.PyOptions().from_yaml((tmp_path / "compose.digests.yaml").read_text()).to_dict()
    fetched = {n: s["image"] for n, s in composed()["services"].items() if "build" not in s}
    assert {name: service["image"] for name, service in pinned["services"].items()} == {
        name: f"{image.rpartition(':')[0]}@sha256:{'a' * 64}" for name, image in fetched.items()
    }


@pytest.mark.system
@pytest.mark.skipif(not HADOLINT.exists(), reason="pip install -r .ci/requirements.lock")
def test_hadolint_finds_nothing() -> None:
    done = subprocess.run([HADOLINT, DEPLOY / "Dockerfile"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
