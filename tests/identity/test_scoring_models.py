"""The scoring model that a store keeps."""

from __future__ import annotations

from sqlalchemy import func, select

from identity.scoring_models import read_active_model, store_model
from identity.store_sql import tables
from matching.scoring_model import default_scoring_model
from tests.identity.stores import Place
from tests.promises.small_model import small_model


def test_a_new_store_begins_with_the_default_model(place: Place) -> None:
    model = read_active_model(place.open_store(), now=1)

    assert model.version == default_scoring_model().version


def test_the_default_is_kept_so_that_a_newer_program_does_not_bring_another(place: Place) -> None:
    store = place.open_store()

    read_active_model(store, now=1)

    with store.read() as connection:
        row = connection.execute(select(tables.scoring_model)).one()
    assert (row.version, bytes(row.document), row.created_at, row.is_active) == (
        default_scoring_model().version, default_scoring_model().document, 1, True,
    )  # fmt: skip


def test_a_stored_model_is_read_back_as_it_was(place: Place) -> None:
    store = place.open_store()
    store_model(store, small_model(), now=1)

    read = read_active_model(store, now=2)

    assert read.version == small_model().version
    assert read.document == small_model().document


def test_the_first_model_stays_when_a_second_is_stored(place: Place) -> None:
    store = place.open_store()
    store_model(store, small_model(), now=1)

    store_model(store, default_scoring_model(), now=2)

    assert read_active_model(store, now=3).version == small_model().version
    with store.read() as connection:
        assert connection.scalar(select(func.count()).select_from(tables.scoring_model)) == 1
