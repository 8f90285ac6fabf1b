"""Build the service's parts from its settings, by hand: the composition root.

Invariant: nothing is opened, connected or read from the environment before one of these functions is
called; each process builds its own.
Elsewhere: the HTTP application (`service.app`), the command line (`service.cli`).
"""

from __future__ import annotations

from sqlalchemy import URL

from identity.errors import StoreMigrating
from identity.service import Identity
from identity.store_sql.migrate import migrate_store
from identity.store_sql.opening import SqlStore, open_store, store_url
from service.clock import CidSource, SystemClock
from service.errors import FileInaccessible
from service.settings import Settings

__all__ = ["bootstrap_identity", "build_identity", "open_settled_store", "prepare_data_dir", "url_of"]


def url_of(settings: Settings) -> URL:
    """Return the URL of the store that the settings name."""
    stated = settings.database_url
    return store_url(None if stated is None else stated.get_secret_value(), settings.data_dir)


def prepare_data_dir(settings: Settings) -> None:
    """Make the data directory, closed to other users, if there is none."""
    try:
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as exc:
        raise FileInaccessible("the data directory (SAMEAS_DATA_DIR) cannot be made") from exc


def open_settled_store(settings: Settings) -> SqlStore:
    """Open the store; the embedded one is migrated first, any other only by `sameas migrate`."""
    prepare_data_dir(settings)
    url = url_of(settings)
    key = None if settings.store_key is None else bytes.fromhex(settings.store_key.get_secret_value())
    try:
        return open_store(url, store_key=key)
    except StoreMigrating:
        if not settings.is_embedded:
            raise
    # Only now: migrating takes the store alone, and most starts find it migrated.
    migrate_store(url)
    return open_store(url, store_key=key)


def build_identity(store: SqlStore) -> Identity:
    """Build the use cases over an open store."""
    return Identity(store, clock=SystemClock().now, new_cid=CidSource())


def bootstrap_identity(settings: Settings) -> Identity:
    """Open the store that the settings name and build the use cases over it."""
    return build_identity(open_settled_store(settings))
