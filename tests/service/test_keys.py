"""API keys in the store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from identity.store_sql import tables
from service.errors import ApiKeyRefused, ApiKeyUnknown
from service.keys import SCOPES, ApiKeys, granted_scopes


class Clock:
    def __init__(self) -> None:
        self.instant = 1_000_000_000

    def now(self) -> int:
        return self.instant


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[sa.Engine]:
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'keys.db'}")
    tables.api_key.create(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys(engine: sa.Engine, clock: Clock) -> ApiKeys:
    return ApiKeys(engine, clock.now)


def test_a_made_key_finds_its_caller_and_no_other_text_does(keys: ApiKeys) -> None:
    row, text = keys.create("crm", scopes=("read", "write"), sources=("crm",), author="os:root")

    caller = keys.find_caller(text)

    assert caller is not None
    assert caller.id == row.id
    assert caller.scopes == {"read", "write"}
    assert caller.sources == frozenset({"crm"})
    assert caller.author == f"key:{row.id}"
    assert keys.find_caller(text + "x") is None
    assert keys.find_caller("") is None


def test_only_a_hash_is_stored(keys: ApiKeys, engine: sa.Engine) -> None:
    _, text = keys.create("crm", scopes=("read",), author="os:root")

    with engine.connect() as connection:
        stored = str(connection.execute(sa.select(tables.api_key)).all())

    assert text.startswith("sk_")
    assert len(text) == 46
    assert text not in stored
    assert text[3:] not in stored


def test_a_checked_key_is_remembered_for_a_second(keys: ApiKeys, clock: Clock) -> None:
    _, text = keys.create("crm", scopes=("read",), author="os:root")
    assert keys.find_verified(text) is None
    keys.find_caller(text)

    clock.instant += 1_000_000
    assert keys.find_verified(text) is not None
    clock.instant += 1
    assert keys.find_verified(text) is None


def test_a_revoked_key_is_refused_and_listed(keys: ApiKeys, engine: sa.Engine, clock: Clock) -> None:
    row, text = keys.create("crm", scopes=("read",), author="os:root")
    other_process = ApiKeys(engine, clock.now)
    assert other_process.find_caller(text) is not None

    keys.revoke(row.id)

    assert keys.find_verified(text) is None
    assert keys.find_caller(text) is None
    clock.instant += 1_000_001
    assert other_process.find_verified(text) is None
    assert other_process.find_caller(text) is None
    assert [kept.revoked_at for kept in keys.list_all()] == [1_000_000_000]
    with pytest.raises(ApiKeyUnknown):
        keys.revoke(row.id)


@pytest.mark.parametrize(
    ("name", "scopes", "sources"),
    [
        ("", ("read",), None),
        ("x\n", ("read",), None),
        ("x", (), None),
        ("x", ("root",), None),
        ("x", ("read",), ()),
        ("x", ("admin",), ("crm",)),
    ],
)
def test_a_key_that_cannot_be_is_refused(
    keys: ApiKeys, name: str, scopes: tuple[str, ...], sources: tuple[str, ...] | None
) -> None:
    with pytest.raises(ApiKeyRefused):
        keys.create(name, scopes=scopes, sources=sources, author="os:root")


def test_admin_implies_all_and_steward_implies_read_only() -> None:
    assert granted_scopes(("admin",)) == set(SCOPES)
    assert granted_scopes(("steward",)) == {"steward", "read"}
    assert granted_scopes(("write",)) == {"write"}
    assert granted_scopes(("read", "write")) == {"read", "write"}


def test_a_key_says_what_asks_with_it(keys: ApiKeys) -> None:
    row, text = keys.create("crm", scopes=("read",), author="os:root", serves="system:crm")

    found = keys.find_caller(text)

    assert found is not None
    assert (row.serves, found.serves) == ("system:crm", "system:crm")
    assert [one.serves for one in keys.list_all()] == ["system:crm"]


@pytest.mark.parametrize("serves", ["crm", "system:", "product:A", "system:crm:x", ""])
def test_a_key_serves_a_system_or_a_product_by_its_name(keys: ApiKeys, serves: str) -> None:
    with pytest.raises(ApiKeyRefused, match="serves system:NAME or product:NAME"):
        keys.create("crm", scopes=("read",), author="os:root", serves=serves)
