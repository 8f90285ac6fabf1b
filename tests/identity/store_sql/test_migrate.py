"""Stores of earlier revisions are upgraded with what they hold."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import URL, inspect

from identity.model import EventType, RecordRef
from identity.service import Identity
from identity.store_sql import migrate, opening
from identity.store_sql.migrate import migrate_store
from identity.store_sql.opening import REVISION, open_engines, store_url
from tests.identity.stores import find_cid, stated, tell
from tests.promises import world
from tests.promises.audit import assert_sound
from tests.promises.world import make_identity


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.service)])
def database_url(request: pytest.FixtureRequest) -> str | None:
    return None if request.param == "sqlite" else request.getfixturevalue("postgres_url")


def upgrade_to(revision: str, url: URL) -> None:
    readers, writers = open_engines(url)
    config = Config()
    config.set_main_option("script_location", str(Path(migrate.__file__).parent / "migrations"))
    with writers.connect() as connection, connection.begin():
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    readers.dispose()
    writers.dispose()


@pytest.fixture
def first_identity(
    database_url: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Identity]:
    """An identity on a store as the first revision made it."""
    with monkeypatch.context() as older:
        older.setattr(opening, "REVISION", "0001")
        older.setattr(world, "migrate_store", lambda url: upgrade_to("0001", url))
        identity = make_identity(database_url, tmp_path)
    yield identity
    identity.close()


@pytest.mark.slow
def test_a_store_of_the_first_revision_keeps_what_it_holds_and_goes_on(
    first_identity: Identity, database_url: str | None, tmp_path: Path
) -> None:
    assert not inspect(first_identity.store.engine).has_table("relay_cursor")
    [answer] = tell(first_identity, stated("1", email=("ann",)))
    events, cursor = first_identity.changes(None, limit=10)
    first_identity.close()

    assert migrate_store(store_url(database_url, tmp_path)) == ("0001", REVISION)

    identity = make_identity(database_url, tmp_path, first_cid=100)
    assert find_cid(identity, "1") == answer.cid
    assert identity.changes(None, limit=10) == (events, cursor)
    tell(identity, stated("2", email=("ann",)))
    assert find_cid(identity, "2") == answer.cid
    told, _ = identity.changes(cursor, limit=10)
    assert [(event.type, RecordRef(event.source, event.key)) for event in told] == [
        (EventType.LINKED, RecordRef("crm", "2"))
    ]
    assert_sound(identity)
    identity.close()
