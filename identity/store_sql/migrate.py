"""Create and upgrade the tables of a store, alone: nobody writes while it runs.

Invariant: a migration runs in one transaction under the lock that every write shares, so a crash leaves
the tables as they were; running it again changes nothing.
Elsewhere: the steps (`identity.store_sql.migrations.versions`), the check at opening (`opening`).
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import URL, text

from identity.store_sql.faults import translating
from identity.store_sql.opening import open_engines, read_revision
from identity.store_sql.postgres import GATE_LOCK

__all__ = ["migrate_store"]


def migrate_store(url: URL) -> tuple[str | None, str | None]:
    """Bring the tables to this program's revision; return the revision before and after.

    Raises:
        StoreBusy: writers did not let go in time.
        StoreUnreachable: the store does not answer.
    """
    readers, writers = open_engines(url)
    try:
        with translating():
            before = read_revision(readers)
            config = Config()
            config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
            with writers.connect() as connection, connection.begin():
                if writers.dialect.name == "postgresql":
                    connection.execute(text(f"SELECT pg_advisory_xact_lock({GATE_LOCK})"))
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
            return before, read_revision(readers)
    finally:
        readers.dispose()
        writers.dispose()
