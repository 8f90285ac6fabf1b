"""Fetch Apache Kafka, Kafka Connect and Debezium's connectors from Maven Central, once a machine.

Invariant: a directory of artefacts is complete or not there: it is filled aside and then renamed. Its name
holds the digest of `kafka_files/pom.xml`, so a changed version is fetched anew. Java, and Maven for the fetching,
are Debian's packages, installed where that is allowed.
Elsewhere: starting servers from the artefacts (`deploy.local.kafka`).
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from deploy.local.debian import NotInstalled, apt_command, find_root_words, run_installer

__all__ = ["KafkaUnavailable", "ensure_kafka", "find_artefacts", "find_java"]

JAVA_MAJOR_MIN: Final = 17
FETCH_S_MAX: Final = 900.0

_POM: Final = Path(__file__).with_name("kafka_files") / "pom.xml"
_JAVA_PACKAGES: Final = ("openjdk-17-jre-headless", "default-jre-headless")
"""Debian 12's, then whatever a later Debian has."""


class KafkaUnavailable(Exception):
    """No private Kafka can be had here; the message says why and what to do."""


def find_artefacts() -> Path | None:
    """Return the directory with `libs` and `plugins`, None when they were not fetched yet."""
    home = _artefact_home()
    return home if home.exists() else None


def find_java() -> Path | None:
    """Return the first `java` from version 17 on: JAVA_HOME's, the PATH's, Debian's; None without one."""
    candidates: list[Path] = []
    if os.environ.get("JAVA_HOME"):
        candidates.append(Path(os.environ["JAVA_HOME"]) / "bin/java")
    if on_path := shutil.which("java"):
        candidates.append(Path(on_path))
    candidates += sorted(Path("/usr/lib/jvm").glob("*/bin/java"))
    for java in candidates:
        if java.exists() and _read_java_major(java) >= JAVA_MAJOR_MIN:
            return java
    return None


def ensure_kafka() -> Path:
    """Return the artefacts' directory; install Java and Maven and fetch first what is missing.

    Raises:
        KafkaUnavailable: Java is missing and may not be installed, or Maven Central cannot be reached.
    """
    if find_java() is None:
        _install_first_of(_JAVA_PACKAGES)
    home = _artefact_home()
    if home.exists():
        return home
    home.parent.mkdir(parents=True, exist_ok=True)
    with (home.parent / "kafka.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two checkouts may ask at the same moment
        if not home.exists():
            if shutil.which("mvn") is None:
                _install_first_of(("maven",))
            _fetch(home)
    return home


def _artefact_home() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "sameas" / f"kafka-{hashlib.sha256(_POM.read_bytes()).hexdigest()[:12]}"


def _read_java_major(java: Path) -> int:
    """Return the major version that `java -version` names, 0 if it cannot be run."""
    try:
        answer = subprocess.run([java, "-version"], capture_output=True, text=True, check=True).stderr
    except (OSError, subprocess.CalledProcessError):
        return 0
    found = re.search(r'version "(\d+)', answer)
    return int(found[1]) if found else 0


def _install_first_of(packages: Sequence[str]) -> None:
    """Install the first of the packages that this Debian has."""
    if shutil.which("apt-get") is None:
        raise KafkaUnavailable(f"{packages[0]} is missing, and this is no Debian machine; install it")
    words = find_root_words()
    if words is None:
        raise KafkaUnavailable(
            f"{packages[0]} is missing, and neither root nor sudo without a password is at hand; "
            f"run `sudo apt-get install {packages[0]}`"
        )
    apt = apt_command(words)
    print(f"installing Debian's {packages[0]} package", file=sys.stderr)
    try:
        run_installer([*apt, "update"])
        for package in packages[:-1]:
            try:
                run_installer([*apt, "install", "--yes", "--no-install-recommends", package])
            except NotInstalled:
                continue
            return
        run_installer([*apt, "install", "--yes", "--no-install-recommends", packages[-1]])
    except NotInstalled as exc:
        raise KafkaUnavailable(str(exc)) from exc


def _fetch(home: Path) -> None:
    print("fetching Apache Kafka and Debezium's connectors by Maven (141 MB, once)", file=sys.stderr)
    aside = Path(tempfile.mkdtemp(prefix="kafka-", dir=home.parent))
    try:
        pom = shutil.copy(_POM, aside / "pom.xml")
        command = ["mvn", "--batch-mode", "--quiet", "--file", str(pom), "package", f"-Dhome={aside}"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=FETCH_S_MAX)
        except (OSError, subprocess.TimeoutExpired) as exc:
            raise KafkaUnavailable(f"Maven could not fetch the artefacts: {exc}") from exc
        if done.returncode:
            said = (done.stdout + done.stderr)[-2000:]
            raise KafkaUnavailable(
                f"Maven could not fetch the artefacts (is Maven Central reachable?):\n{said}"
            )
        shutil.rmtree(aside / "target", ignore_errors=True)
        aside.chmod(0o755)
        aside.rename(home)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
