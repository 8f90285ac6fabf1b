"""A private Kafka broker, and Kafka Connect with Debezium beside it, for tests and a developer's afternoon.

Invariant: the servers belong to whoever started them. They run in a directory of their own, on free ports
of the loopback address; they are stopped by their own process ids and stop by themselves when their
starter dies. No other Kafka on the machine is looked at, configured or stopped.
Elsewhere: what is fetched for it (`deploy.local.kafka_artefacts`), fixtures (`tests.services.kafka`).

    python -m deploy.local.kafka ensure          # install Java and Maven if needed, fetch the artefacts
    python -m deploy.local.kafka run --connect   # start both, print their addresses, stop them on Ctrl-C
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import http.client
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from string import Template
from types import MappingProxyType
from typing import Final

from deploy.local.children import find_free_port, stop_child, words_to_die_with_parent
from deploy.local.kafka_artefacts import KafkaUnavailable, ensure_kafka, find_artefacts, find_java
from deploy.local.postgres import is_service_required

__all__ = [
    "QUICK_START",
    "KafkaUnavailable",
    "PrivateBroker",
    "main",
    "run_private_broker",
    "run_private_connect",
]

START_S_MAX: Final = 60.0
STOP_S_MAX: Final = 30.0
PORT_TRIES: Final = 5
NO_SETTINGS: Final[Mapping[str, str]] = MappingProxyType({})

QUICK_START: Final = ("-XX:TieredStopAtLevel=1",)
"""Compile once and lightly: half the processor time until a server answers, less speed in the long run."""

_TEMPLATES: Final = Path(__file__).with_name("kafka_files")


class PrivateBroker:
    """One KRaft broker; it keeps its address and its data when it is stopped, or killed, and started again."""

    def __init__(self, directory: Path, *, settings: Mapping[str, str], java_options: Sequence[str]) -> None:
        self._directory = directory
        self._settings = settings
        self._java_options = java_options
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        """Address for `bootstrap.servers`."""
        return f"127.0.0.1:{self._port}"

    @property
    def pid(self) -> int:
        """Process id of the running broker."""
        assert self._process is not None
        return self._process.pid

    def create(self) -> None:
        """Take free ports, format the data directory and start; another process may take a port first."""
        for _ in range(PORT_TRIES):
            self._port = find_free_port()
            shutil.rmtree(self._directory / "data", ignore_errors=True)
            self._write_properties(controller_port=find_free_port())
            self._format()
            with contextlib.suppress(KafkaUnavailable):
                self.start()
                return
            self.kill()
        raise KafkaUnavailable(f"the broker in {self._directory} did not start:\n{_tail(self._log)}")

    def start(self) -> None:
        """Start it on the data that are there and wait until it answers.

        A broker that was killed answers after some four seconds, once its session has ended.

        Raises:
            KafkaUnavailable: it ended or did not answer in time; the message ends with its log.
        """
        command = [
            *_java_command(512, self._directory, self._java_options),
            "kafka.Kafka",
            str(self._properties),
        ]
        self._process = _start(command, log=self._log)
        if not _wait_until(self._process, lambda: _is_listening(self._port)):
            raise KafkaUnavailable(f"the broker in {self._directory} did not start:\n{_tail(self._log)}")

    def stop(self) -> None:
        """Shut it down in order."""
        if self._process is not None:
            stop_child(self._process, (signal.SIGTERM, signal.SIGKILL), wait_s=STOP_S_MAX)

    def kill(self) -> None:
        """End it at once, as a power cut would (what the operating system holds for it is kept)."""
        if self._process is not None:
            stop_child(self._process, (signal.SIGKILL,), wait_s=STOP_S_MAX)

    @property
    def _log(self) -> Path:
        return self._directory / "server.log"

    @property
    def _properties(self) -> Path:
        return self._directory / "server.properties"

    def _write_properties(self, *, controller_port: int) -> None:
        names = {
            "PORT": str(self._port),
            "CONTROLLER_PORT": str(controller_port),
            "DATA_DIR": str(self._directory / "data"),
        }
        _fill_template("server.properties", self._properties, names, self._settings)

    def _format(self) -> None:
        """Write the identity of the new cluster into its data directory."""
        command = [
            *_java_command(128, self._directory, QUICK_START),
            *("kafka.tools.StorageTool", "format", "--standalone"),
            *("--cluster-id", _new_cluster_id(), "--config", str(self._properties)),
        ]
        done = subprocess.run(command, env=_server_environment(), capture_output=True, text=True, check=False)
        if done.returncode:
            raise KafkaUnavailable(
                f"formatting {self._directory} failed:\n{(done.stdout + done.stderr)[-2000:]}"
            )


@contextlib.contextmanager
def run_private_broker(
    directory: Path | None = None,
    *,
    settings: Mapping[str, str] = NO_SETTINGS,
    java_options: Sequence[str] = QUICK_START,
) -> Iterator[PrivateBroker]:
    """Start a broker of one's own, yield it, and stop it. Cost: about 5 s and 400 MB.

    Args:
        directory: empty or missing; holds the broker's files and is kept. None: a temporary one, removed
            afterwards.
        settings: broker properties, on top of `kafka_files/server.properties`.
        java_options: those of its Java machine; a benchmark passes none.
    Raises:
        KafkaUnavailable: no Java, no artefacts, or it does not start; the message ends with its log.
    """
    with _own_directory(directory) as home:
        broker = PrivateBroker(home, settings=settings, java_options=java_options)
        try:
            broker.create()
            yield broker
        finally:
            broker.stop()


@contextlib.contextmanager
def run_private_connect(
    bootstrap: str, directory: Path | None = None, *, settings: Mapping[str, str] = NO_SETTINGS
) -> Iterator[str]:
    """Start a Kafka Connect worker with Debezium's connectors, yield its URL, and stop it. Cost: about 5 s.

    Args:
        bootstrap: the broker, which also keeps the worker's own topics.
        directory: see `run_private_broker`.
        settings: worker properties, on top of `kafka_files/connect.properties`.
    Raises:
        KafkaUnavailable: see `run_private_broker`.
    """
    artefacts, _ = _demand_artefacts()
    with _own_directory(directory) as home:
        log, properties = home / "connect.log", home / "connect.properties"
        for _ in range(PORT_TRIES):
            port = find_free_port()
            names = {
                "BOOTSTRAP": bootstrap,
                "CONNECT_PORT": str(port),
                "PLUGIN_DIR": str(artefacts / "plugins"),
            }
            _fill_template("connect.properties", properties, names, settings)
            command = [
                *_java_command(768, home, QUICK_START),
                "org.apache.kafka.connect.cli.ConnectDistributed",
            ]
            worker = _start([*command, str(properties)], log=log)
            try:
                if _wait_until(worker, lambda port=port: _is_healthy(port)):  # type: ignore[misc]
                    yield f"http://127.0.0.1:{port}"
                    return
            finally:
                stop_child(worker, (signal.SIGTERM, signal.SIGKILL), wait_s=STOP_S_MAX)
        raise KafkaUnavailable(f"Kafka Connect in {home} did not start:\n{_tail(log)}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 0 when done, 1 when Kafka cannot be had though it is required."""
    parser = argparse.ArgumentParser(prog="python -m deploy.local.kafka", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("ensure", help="install Java and Maven if they are missing, fetch the artefacts")
    run = commands.add_parser("run", help="start a private broker, print its address, stop it on Ctrl-C")
    run.add_argument("--connect", action="store_true", help="start Kafka Connect with Debezium too")
    run.add_argument("--directory", type=Path, help="keep the servers' files here")
    run.add_argument("--set", dest="settings", action="append", default=[], metavar="NAME=VALUE")
    options = parser.parse_args(arguments)
    try:
        if options.command == "ensure":
            return _ensure_or_explain()
        settings = dict(setting.split("=", 1) for setting in options.settings)
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that both leave through the `with`
        with contextlib.suppress(KeyboardInterrupt), contextlib.ExitStack() as servers:
            broker = servers.enter_context(run_private_broker(options.directory, settings=settings))
            print(broker.bootstrap, flush=True)
            if options.connect:
                print(
                    servers.enter_context(run_private_connect(broker.bootstrap, options.directory)),
                    flush=True,
                )
            signal.pause()
    except KafkaUnavailable as exc:
        print(f"Kafka: {exc}", file=sys.stderr)
        return 1
    return 0


def _ensure_or_explain() -> int:
    try:
        ensure_kafka()
    except KafkaUnavailable as exc:
        if is_service_required(os.environ):
            raise
        print(f"Kafka: {exc}\nTests that need it are skipped.", file=sys.stderr)
    return 0


def _demand_artefacts() -> tuple[Path, Path]:
    """Return the artefacts' directory and `java`."""
    artefacts, java = find_artefacts(), find_java()
    if artefacts is None or java is None:
        missing = "its artefacts were not fetched" if artefacts is None else "no Java 17 or later found"
        raise KafkaUnavailable(f"{missing}; `python -m deploy.local.kafka ensure` does that")
    return artefacts, java


@contextlib.contextmanager
def _own_directory(directory: Path | None) -> Iterator[Path]:
    if directory is not None:
        directory.mkdir(parents=True, exist_ok=True)
        yield directory
        return
    home = Path(tempfile.mkdtemp(prefix="sameas-kafka-"))
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _fill_template(name: str, to: Path, names: Mapping[str, str], settings: Mapping[str, str]) -> None:
    """Write the template with its names filled in; of a property that is set twice the last one holds."""
    text = Template((_TEMPLATES / name).read_text()).safe_substitute(names)
    to.write_text(text + "".join(f"{key}={value}\n" for key, value in settings.items()))


def _new_cluster_id() -> str:
    """Return 22 characters of base64; one with a leading hyphen would be read as an option."""
    while (text := base64.urlsafe_b64encode(secrets.token_bytes(16)).decode().rstrip("=")).startswith("-"):
        pass
    return text


def _java_command(heap_mb: int, directory: Path, options: Sequence[str]) -> list[str]:
    artefacts, java = _demand_artefacts()
    return [
        str(java),
        f"-Xmx{heap_mb}m",
        "-XX:+UseSerialGC",
        f"-Djava.io.tmpdir={directory}",
        f"-Dlog4j2.configurationFile={_TEMPLATES / 'log4j2.properties'}",
        *options,
        "-cp",
        f"{artefacts}/libs/*",
    ]


def _start(command: Sequence[str], *, log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as stream:
        return subprocess.Popen(
            [*words_to_die_with_parent("TERM"), *command],
            cwd="/",
            env=_server_environment(),
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,  # Ctrl-C in a terminal reaches the tests, which then stop the server
        )


def _server_environment() -> dict[str, str]:
    """Return an environment without the caller's variables, some of which Java and Kafka would obey."""
    return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def _wait_until(server: subprocess.Popen[bytes], is_up: Callable[[], bool]) -> bool:
    """Wait until the server is up; False when it ended or took too long."""
    deadline = time.monotonic() + START_S_MAX
    while time.monotonic() < deadline and server.poll() is None:
        if is_up():
            return True
        time.sleep(0.05)
    return False


def _is_listening(port: int) -> bool:
    """Tell whether the broker answers: Kafka opens its socket only when it is ready to."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _is_healthy(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-2000:] if log.exists() else ""


if __name__ == "__main__":
    raise SystemExit(main())
