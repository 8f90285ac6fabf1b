"""The first start's admin key."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from identity.store_sql import tables
from service.admin_key import ADMIN_KEY_FILE, ensure_admin_key
from service.keys import ApiKeys


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


def test_the_first_start_makes_an_admin_key_and_the_second_none(keys: ApiKeys, tmp_path: Path) -> None:
    text = ensure_admin_key(keys, tmp_path)

    file = tmp_path / ADMIN_KEY_FILE
    assert text is not None
    assert file.read_text() == text + "\n"
    assert file.stat().st_mode & 0o777 == 0o600
    caller = keys.find_caller(text)
    assert caller is not None
    assert "admin" in caller.scopes
    assert ensure_admin_key(keys, tmp_path) is None
    assert len(keys.list_all()) == 1


def test_a_revoked_admin_key_is_not_made_again(keys: ApiKeys, tmp_path: Path) -> None:
    ensure_admin_key(keys, tmp_path)
    keys.revoke(keys.list_all()[0].id)

    assert ensure_admin_key(keys, tmp_path) is None


def test_a_file_whose_key_another_store_knows_is_replaced(keys: ApiKeys, tmp_path: Path) -> None:
    (tmp_path / ADMIN_KEY_FILE).write_text("sk_of_another_store")

    text = ensure_admin_key(keys, tmp_path)

    assert text is not None
    assert (tmp_path / ADMIN_KEY_FILE).read_text().strip() == text
    assert (tmp_path / ADMIN_KEY_FILE).stat().st_mode & 0o777 == 0o600


def test_a_preset_admin_key_is_valid_and_written_nowhere(keys: ApiKeys, tmp_path: Path) -> None:
    preset = "preset-" + "k" * 40

    assert ensure_admin_key(keys, tmp_path, preset=preset) is None
    assert ensure_admin_key(keys, tmp_path, preset=preset) is None

    assert keys.find_caller(preset) is not None
    assert len(keys.list_all()) == 1
    assert not (tmp_path / ADMIN_KEY_FILE).exists()
