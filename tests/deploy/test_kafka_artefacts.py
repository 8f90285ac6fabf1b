"""Fetching Kafka: whole or not at all, anew for another version, and a clear word where it cannot be."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from deploy.local import kafka_artefacts
from deploy.local.debian import NotInstalled
from deploy.local.kafka_artefacts import KafkaUnavailable, ensure_kafka, find_artefacts

__all__: list[str] = []


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(kafka_artefacts, "find_java", lambda: Path("java"))
    monkeypatch.setattr(shutil, "which", lambda name: name)
    return tmp_path / "sameas"


def maven(code: int, said: str = "") -> object:
    """Return a stand-in for `subprocess.run` that fills the directory like Maven, then ends with the code."""

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        home = Path(command[-1].removeprefix("-Dhome="))
        for name in ("libs", "plugins", "target"):
            (home / name).mkdir()
        return subprocess.CompletedProcess(command, code, said, "")

    return run


def test_what_was_fetched_is_found_from_then_on(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "run", maven(0))
    assert find_artefacts() is None

    home = ensure_kafka()

    assert find_artefacts() == home
    assert sorted(path.name for path in home.iterdir()) == ["libs", "plugins", "pom.xml"]
    monkeypatch.setattr(subprocess, "run", maven(1))
    assert ensure_kafka() == home


def test_half_of_the_artefacts_are_none(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "run", maven(1, "Could not transfer artifact"))

    with pytest.raises(KafkaUnavailable, match=r"Maven Central reachable[\s\S]*Could not transfer"):
        ensure_kafka()

    assert find_artefacts() is None
    assert [path.name for path in cache.iterdir()] == ["kafka.lock"]


def test_another_version_is_fetched_anew(
    cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(subprocess, "run", maven(0))
    before = ensure_kafka()
    changed = tmp_path / "pom.xml"
    changed.write_text("<project/>")

    monkeypatch.setattr(kafka_artefacts, "_POM", changed)

    assert find_artefacts() is None
    assert ensure_kafka() != before


def test_without_root_the_developer_is_told_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka_artefacts, "find_java", lambda: None)
    monkeypatch.setattr(shutil, "which", lambda name: None if name == "sudo" else name)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    with pytest.raises(KafkaUnavailable, match="sudo apt-get install openjdk-17-jre-headless"):
        ensure_kafka()


def test_a_debian_without_java_17_gets_its_default_java(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def install(command: list[str]) -> None:
        asked.append(command[-1])
        if command[-1] == "openjdk-17-jre-headless":
            raise NotInstalled("no such package")

    monkeypatch.setattr(kafka_artefacts, "find_java", lambda: None)
    monkeypatch.setattr(kafka_artefacts, "find_root_words", list)
    monkeypatch.setattr(kafka_artefacts, "run_installer", install)
    monkeypatch.setattr(subprocess, "run", maven(0))

    ensure_kafka()

    assert asked == ["update", "openjdk-17-jre-headless", "default-jre-headless"]
