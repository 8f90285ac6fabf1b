"""What every command needs: settings, an open store, the person at the keyboard, and a way to end.

Invariant: the command line works on the store directly, as the operating-system user, who is the author
in history; this is the only room that reads the process's environment and user.
Elsewhere: the commands, one room each.
"""

from __future__ import annotations

import os
import pwd
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Final, NoReturn

import typer

from identity.errors import StoreMigrating, StoreRefused, StoreUnreachable
from matching.errors import SameasError
from service.errors import FileInaccessible, SettingsInvalid
from service.settings import Settings, load_settings
from streams.errors import ConnectUnreachable, KafkaOptionRefused, KafkaUnreachable

if TYPE_CHECKING:
    from identity.model import RecordRef
    from identity.service import Identity
    from identity.store_sql.opening import SqlStore

__all__ = [
    "MetricsPort",
    "end_with",
    "is_terminal",
    "open_identity",
    "open_store_of",
    "os_author",
    "parse_pair",
    "parse_ref",
    "read_settings",
    "run",
]

MetricsPort = Annotated[
    int | None, typer.Option(min=1, max=65_535, help="Loopback port of /metrics; none if left out.")
]
"""The option of every command that runs until it is told to stop."""

EXIT_REFUSED: Final = 1
EXIT_COULD_NOT_RUN: Final = 2

_COULD_NOT_RUN: Final = (
    SettingsInvalid,
    StoreMigrating,
    StoreRefused,
    StoreUnreachable,
    FileInaccessible,
    ConnectUnreachable,
    KafkaOptionRefused,
    KafkaUnreachable,
)


def read_settings(**overrides: object) -> Settings:
    """Return the settings of this process's environment, with `overrides` on top."""
    return load_settings(os.environ, **overrides)


def os_author() -> str:
    """Return how history names the operating-system user (not the environment's word for it)."""
    try:
        return f"os:{pwd.getpwuid(os.geteuid()).pw_name}"
    except KeyError:
        return f"os:{os.geteuid()}"


@contextmanager
def open_store_of(settings: Settings) -> Iterator[SqlStore]:
    """Open the store and close it at the end."""
    from service.bootstrap import open_settled_store
    from service.telemetry import configure_logging

    configure_logging("warning")
    store = open_settled_store(settings)
    try:
        yield store
    finally:
        store.close()


@contextmanager
def open_identity() -> Iterator[Identity]:
    """Open the store that the environment names, as the use cases of identity."""
    from service.bootstrap import build_identity

    with open_store_of(read_settings()) as store:
        yield build_identity(store)


def parse_ref(text: str) -> RecordRef:
    """Return the record that `SOURCE/KEY` names; the key may hold further slashes."""
    from identity.model import RecordRef

    source, slash, key = text.partition("/")
    if not slash or not source or not key:
        raise typer.BadParameter("write SOURCE/KEY, such as crm/71")
    return RecordRef(source, key)


def parse_pair(text: str) -> tuple[str, str]:
    """Return the two sides of `NAME=VALUE`."""
    name, equals, value = text.partition("=")
    if not equals or not name or not value:
        raise typer.BadParameter("write NAME=VALUE, such as email=contact.mail")
    return name, value


def is_terminal() -> bool:
    """True when a person reads standard output."""
    return sys.stdout.isatty()


def end_with(error: SameasError) -> NoReturn:
    """Print `code: detail` and end: 1 when a rule refused, 2 when nothing could be run."""
    sys.stderr.write(f"{error.code}: {error.detail}\n")
    sys.exit(EXIT_COULD_NOT_RUN if isinstance(error, _COULD_NOT_RUN) else EXIT_REFUSED)


def run(program: Callable[[], object]) -> None:
    """Run the command line to its end."""
    try:
        program()
    except SameasError as exc:
        end_with(exc)
    except BrokenPipeError:
        # Who read our output has seen enough; leave without the interpreter's complaint about it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_REFUSED)
