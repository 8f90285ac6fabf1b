"""The composition root on the embedded store."""

from __future__ import annotations

from pathlib import Path

import pytest

from identity.errors import StoreRefused
from service.bootstrap import bootstrap_identity, open_settled_store, prepare_data_dir
from service.errors import FileInaccessible
from service.settings import load_settings


def test_the_first_opening_makes_a_closed_directory_and_a_migrated_store(tmp_path: Path) -> None:
    settings = load_settings({}, data_dir=tmp_path / "deep" / "data")

    for _ in range(2):
        identity = bootstrap_identity(settings)
        assert identity.list_sources() == []
        identity.close()

    assert settings.data_dir.stat().st_mode & 0o777 == 0o700


def test_a_store_is_not_opened_with_another_store_key(tmp_path: Path) -> None:
    open_settled_store(load_settings({"SAMEAS_STORE_KEY": "ab" * 32}, data_dir=tmp_path)).close()

    with pytest.raises(StoreRefused):
        open_settled_store(load_settings({"SAMEAS_STORE_KEY": "cd" * 32}, data_dir=tmp_path))


def test_a_data_directory_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(FileInaccessible):
        prepare_data_dir(load_settings({}, data_dir=tmp_path / "file" / "data"))
