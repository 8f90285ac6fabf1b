"""A private PostgreSQL server for tests, benchmarks and a developer's afternoon.

Invariant: the server belongs to whoever started it. It runs in a directory of its own, on a free port of
the loopback address, with a password made for it; it is stopped by its own process id and stops by itself
when its starter dies. No other PostgreSQL on the machine is looked at, configured or stopped.
Elsewhere: fixtures that hand out empty databases (`tests.services.postgres`), the server of a real
installation (`deploy/compose.yaml`).

    python -m deploy.local.postgres ensure   # install Debian's package if needed, as root or by sudo
    python -m deploy.local.postgres run      # start one, print its URL, stop it on Ctrl-C
"""

from __future__ import annotations

import argparse
import contextlib
import os
import pwd
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final

from deploy.local.children import find_free_port, stop_child, words_to_die_with_parent
from deploy.local.debian import NotInstalled, apt_command, find_root_words, run_installer

__all__ = [
    "PostgresUnavailable",
    "PrivatePostgres",
    "ensure_postgres",
    "find_postgres_binaries",
    "is_service_required",
    "main",
    "run_private_postgres",
    "run_private_postgres_server",
]

MAJOR_MIN: Final = 15
START_S_MAX: Final = 60.0
STOP_S_MAX: Final = 30.0
PORT_TRIES: Final = 5
NO_SETTINGS: Final[Mapping[str, str]] = MappingProxyType({})

_DEBIAN_BINARIES: Final = Path("/usr/lib/postgresql")
_CLUSTER_CONFIG: Final = Path("/etc/postgresql-common/createcluster.conf")


class PostgresUnavailable(Exception):
    """No private PostgreSQL can be had here; the message says why and what to do."""


def is_service_required(environment: Mapping[str, str]) -> bool:
    """Tell whether a missing service is an error (continuous integration) instead of a skipped test."""
    return environment.get("SAMEAS_REQUIRE_SERVICES", "") not in {"", "0"} or bool(environment.get("CI"))


def find_postgres_binaries() -> Path | None:
    """Return the directory of the newest `initdb` and `postgres` from version 15 on, None without one."""
    versions = [path for path in _DEBIAN_BINARIES.glob("[0-9]*") if path.name.isdecimal()]
    candidates = [path / "bin" for path in sorted(versions, key=lambda path: int(path.name), reverse=True)]
    on_path = shutil.which("initdb")
    if on_path:
        candidates.append(Path(on_path).resolve().parent)
    for directory in candidates:
        if (directory / "initdb").exists() and _read_major(directory / "postgres") >= MAJOR_MIN:
            return directory
    return None


def ensure_postgres() -> Path:
    """Return the binaries' directory; install Debian's `postgresql` first where there is none.

    Raises:
        PostgresUnavailable: not a Debian machine, neither root nor sudo without a password, or apt failed.
    """
    found = find_postgres_binaries()
    if found is not None:
        return found
    if shutil.which("apt-get") is None:
        raise PostgresUnavailable(
            f"no PostgreSQL {MAJOR_MIN} or later found, and this is no Debian machine; "
            "install it or name a server by SAMEAS_TEST_POSTGRES_URL"
        )
    prefix = _become_root()
    print("installing Debian's postgresql package", file=sys.stderr)
    apt = apt_command(prefix)
    _run_installer([*apt, "update"])
    # The common package comes first: its configuration can say that no cluster is to be made and started.
    _run_installer([*apt, "install", "--yes", "--no-install-recommends", "postgresql-common"])
    with _no_cluster_at_installation(prefix):
        _run_installer([*apt, "install", "--yes", "--no-install-recommends", "postgresql"])
    found = find_postgres_binaries()
    if found is None:
        raise PostgresUnavailable(f"Debian's postgresql here is older than {MAJOR_MIN}; name a server by URL")
    return found


class PrivatePostgres:
    """One server; it keeps its address and its data when it is stopped, or killed, and started again."""

    def __init__(self, home: Path, *, binaries: Path, settings: Mapping[str, str]) -> None:
        self._binaries = binaries
        self._cluster = home / "cluster"
        self._settings = settings
        self._account = _give_to_server_account(home)
        self._password = secrets.token_urlsafe(18)
        self._port = 0
        self._server: subprocess.Popen[bytes] | None = None

    @property
    def port(self) -> int:
        """The port of the loopback address that it listens on."""
        return self._port

    @property
    def url(self) -> str:
        """`postgresql://user:password@127.0.0.1:port/postgres`."""
        return f"postgresql://sameas:{self._password}@127.0.0.1:{self._port}/postgres"

    def create(self) -> None:
        """Make the cluster and start it on a free port."""
        _create_cluster(self._binaries, self._cluster, account=self._account, password=self._password)
        self.start()

    def start(self) -> None:
        """Start it on the data that are there; it recovers first if it was killed."""
        self._server, self._port = _start_server(
            self._binaries, self._cluster, account=self._account, settings=self._settings, port=self._port
        )

    def stop(self) -> None:
        """Shut it down in order."""
        if self._server is not None:
            _stop_server(self._server)

    def kill(self) -> None:
        """End it at once without writing anything more, as a power cut would."""
        if self._server is not None:
            stop_child(self._server, (signal.SIGQUIT, signal.SIGKILL), wait_s=STOP_S_MAX)


@contextlib.contextmanager
def run_private_postgres_server(
    directory: Path | None = None, *, settings: Mapping[str, str] = NO_SETTINGS
) -> Iterator[PrivatePostgres]:
    """Start a server, yield it, and stop it.

    Args:
        directory: empty or missing; holds the server's files and is kept. It must be reachable for the
            `postgres` user when the caller is root. None: a temporary one, removed afterwards.
        settings: PostgreSQL parameters, such as `{"shared_buffers": "1GB"}`; the rest are the defaults.
    Raises:
        PostgresUnavailable: no binaries, or the server does not start; the message ends with its log.
    """
    binaries = find_postgres_binaries()
    if binaries is None:
        raise PostgresUnavailable(
            f"no PostgreSQL {MAJOR_MIN} or later found; `python -m deploy.local.postgres ensure` installs it"
        )
    home = Path(tempfile.mkdtemp(prefix="sameas-postgres-")) if directory is None else directory
    try:
        home.mkdir(parents=True, exist_ok=True)
        server = PrivatePostgres(home, binaries=binaries, settings=settings)
        server.create()
        try:
            yield server
        finally:
            server.stop()
    finally:
        if directory is None:
            shutil.rmtree(home, ignore_errors=True)


@contextlib.contextmanager
def run_private_postgres(
    directory: Path | None = None, *, settings: Mapping[str, str] = NO_SETTINGS
) -> Iterator[str]:
    """Start a server, yield its URL and stop it; see `run_private_postgres_server`."""
    with run_private_postgres_server(directory, settings=settings) as server:
        yield server.url


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 0 when done, 1 when PostgreSQL cannot be had though it is required."""
    parser = argparse.ArgumentParser(
        prog="python -m deploy.local.postgres", description=__doc__.splitlines()[0]
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("ensure", help="install Debian's postgresql package if no PostgreSQL is there")
    run = commands.add_parser("run", help="start a private server, print its URL, stop it on Ctrl-C")
    run.add_argument("--directory", type=Path, help="keep the server's files here")
    run.add_argument("--set", dest="settings", action="append", default=[], metavar="NAME=VALUE")
    options = parser.parse_args(arguments)
    try:
        if options.command == "ensure":
            return _ensure_or_explain()
        settings = dict(setting.split("=", 1) for setting in options.settings)
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that both leave through the `with`
        with (
            contextlib.suppress(KeyboardInterrupt),
            run_private_postgres(options.directory, settings=settings) as url,
        ):
            print(url, flush=True)
            signal.pause()
    except PostgresUnavailable as exc:
        print(f"PostgreSQL: {exc}", file=sys.stderr)
        return 1
    return 0


def _ensure_or_explain() -> int:
    if os.environ.get("SAMEAS_TEST_POSTGRES_URL"):
        return 0
    try:
        ensure_postgres()
    except PostgresUnavailable as exc:
        if is_service_required(os.environ):
            raise
        print(f"PostgreSQL: {exc}\nTests that need it are skipped.", file=sys.stderr)
    return 0


def _read_major(postgres: Path) -> int:
    """Return the major version that `postgres --version` names, 0 if it cannot be run."""
    try:
        answer = subprocess.run([postgres, "--version"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return 0
    found = re.search(r"\) (\d+)", answer)
    return int(found[1]) if found else 0


def _become_root() -> list[str]:
    words = find_root_words()
    if words is None:
        raise PostgresUnavailable(
            "not installed, and neither root nor sudo without a password is at hand; "
            "run `sudo apt-get install postgresql` or name a server by SAMEAS_TEST_POSTGRES_URL"
        )
    return words


def _run_installer(command: Sequence[str]) -> None:
    try:
        run_installer(command)
    except NotInstalled as exc:
        raise PostgresUnavailable(str(exc)) from exc


@contextlib.contextmanager
def _no_cluster_at_installation(prefix: Sequence[str]) -> Iterator[None]:
    """Keep Debian from starting a cluster on port 5432 as it installs; put its configuration back after."""
    before = _CLUSTER_CONFIG.read_text() if _CLUSTER_CONFIG.exists() else ""
    kept = [line for line in before.splitlines() if not re.match(r"\s*create_main_cluster\b", line)]
    _write_as_root(prefix, "\n".join([*kept, "create_main_cluster = false", ""]))
    try:
        yield
    finally:
        _write_as_root(prefix, before)


def _write_as_root(prefix: Sequence[str], text: str) -> None:
    subprocess.run(
        [*prefix, "tee", str(_CLUSTER_CONFIG)], input=text, text=True, check=True, stdout=subprocess.DEVNULL
    )


def _give_to_server_account(home: Path) -> pwd.struct_passwd | None:
    """Return the account that the server has to run under and make it the owner of `home`; None: our own.

    PostgreSQL refuses to run as root.
    """
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            account = pwd.getpwnam(name)
            os.chown(home, account.pw_uid, account.pw_gid)
            return account
    raise PostgresUnavailable("root may not run PostgreSQL, and there is no `postgres` or `nobody` to run it")


def _create_cluster(
    binaries: Path, cluster: Path, *, account: pwd.struct_passwd | None, password: str
) -> None:
    """Make the cluster: UTF-8, bytewise order, and a password for every connection."""
    password_file = cluster.parent / "password"
    password_file.touch(mode=0o600)
    password_file.write_text(password + "\n")
    if account is not None:
        os.chown(password_file, account.pw_uid, account.pw_gid)
    command = [
        str(binaries / "initdb"),
        f"--pgdata={cluster}",
        "--username=sameas",
        "--encoding=UTF8",
        "--locale=C",
        "--auth=scram-sha-256",
        f"--pwfile={password_file}",
        "--no-sync",
        "--no-instructions",
    ]
    done = subprocess.run(
        [*_run_under(account), *command],
        cwd="/",
        env=_server_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    password_file.unlink()
    if done.returncode:
        raise PostgresUnavailable(f"initdb failed in {cluster}:\n{(done.stdout + done.stderr)[-2000:]}")


def _start_server(
    binaries: Path,
    cluster: Path,
    *,
    account: pwd.struct_passwd | None,
    settings: Mapping[str, str],
    port: int = 0,
) -> tuple[subprocess.Popen[bytes], int]:
    """Start it on the port, or for 0 on a free one; another process may take that first, so try a few."""
    wished_port = port
    for _ in range(PORT_TRIES):
        port = wished_port or find_free_port()
        options = {
            "listen_addresses": "127.0.0.1",
            "port": str(port),
            "unix_socket_directories": "",
            **settings,
        }
        command = [str(binaries / "postgres"), "-D", str(cluster)]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        log = cluster.parent / "server.log"
        with log.open("ab") as stream:
            server = subprocess.Popen(
                [*_run_under(account), *command],
                cwd="/",
                env=_server_environment(),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                start_new_session=True,  # Ctrl-C in a terminal reaches the tests, which then stop the server
            )
        if _is_up(server, cluster):
            return server, port
        _stop_server(server)
    said = log.read_text(errors="replace")[-2000:]
    raise PostgresUnavailable(f"the server in {cluster} did not start:\n{said}")


def _is_up(server: subprocess.Popen[bytes], cluster: Path) -> bool:
    """Wait until the server says `ready` in its pid file; False when it ended or took too long."""
    status = cluster / "postmaster.pid"
    deadline = time.monotonic() + START_S_MAX
    while time.monotonic() < deadline and server.poll() is None:
        with contextlib.suppress(FileNotFoundError):
            lines = status.read_text().splitlines()
            if len(lines) > 7 and lines[7].strip() == "ready":
                return True
        time.sleep(0.02)
    return False


def _stop_server(server: subprocess.Popen[bytes]) -> None:
    """Stop it: first without open connections (SIGINT), then at once (SIGQUIT), then by force."""
    stop_child(server, (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL), wait_s=STOP_S_MAX)


def _run_under(account: pwd.struct_passwd | None) -> list[str]:
    """Return the words before a command that run it under the account and end it when its parent dies."""
    words = words_to_die_with_parent("INT")
    if account is None:
        return words
    if not words:
        raise PostgresUnavailable(
            "root needs `setpriv` (package util-linux) to run PostgreSQL as another user"
        )
    return [*words, f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--init-groups"]


def _server_environment() -> dict[str, str]:
    """Return an environment without the caller's PG* variables, which would redirect the server's tools."""
    return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C", "TZ": "UTC"}


if __name__ == "__main__":
    raise SystemExit(main())
