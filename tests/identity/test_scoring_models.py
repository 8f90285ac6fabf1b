"""The scoring models that a store keeps: the first one, the active one, and what replaces it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select, update

from identity.errors import InvariantBroken
from identity.scoring_models import ModelBook, store_model
from identity.service import Identity
from identity.store_sql import tables
from identity.store_sql.opening import SqlStore
from matching.scoring_model import ScoringModel, default_scoring_model
from tests.identity.stores import Place, stated, tell, withdrawn
from tests.promises.small_model import small_model, small_model_but, strict_model


def begin(store: SqlStore, *, now: int) -> ModelBook:
    book = ModelBook(store)
    book.begin_with_default(now=now)
    return book


def kept(store: SqlStore) -> dict[str, tuple[int, bool]]:
    with store.read() as connection:
        rows = connection.execute(select(tables.scoring_model)).all()
    return {row.version: (row.created_at, row.is_active) for row in rows}


def replace(identity: Identity, model: ScoringModel) -> bool:
    return identity.models.replace_untrained(model, expected_version=small_model().version, now=9)


def test_a_new_store_begins_with_the_default_model(place: Place) -> None:
    book = begin(place.open_store(), now=1)

    assert book.read_current().version == default_scoring_model().version


def test_the_default_is_kept_so_that_a_newer_program_does_not_bring_another(place: Place) -> None:
    store = place.open_store()

    begin(store, now=1)

    with store.read() as connection:
        row = connection.execute(select(tables.scoring_model)).one()
    assert (row.version, bytes(row.document), row.created_at, row.is_active) == (
        default_scoring_model().version, default_scoring_model().document, 1, True,
    )  # fmt: skip


def test_a_stored_model_is_read_back_as_it_was(place: Place) -> None:
    store = place.open_store()
    store_model(store, small_model(), now=1)

    read = begin(store, now=2).read_current().model

    assert read.version == small_model().version
    assert read.document == small_model().document


def test_the_first_model_stays_when_a_second_is_stored(place: Place) -> None:
    store = place.open_store()
    store_model(store, small_model(), now=1)

    store_model(store, default_scoring_model(), now=2)

    assert begin(store, now=3).recall().version == small_model().version
    with store.read() as connection:
        assert connection.scalar(select(func.count()).select_from(tables.scoring_model)) == 1


def test_a_model_is_compiled_once_and_one_put_by_another_program_is_noticed(place: Place) -> None:
    ours, theirs = place.open_identity(), place.open_identity()
    before = ours.models.read_current()
    assert ours.models.read_current() is before

    assert replace(theirs, strict_model())

    assert ours.models.recall() is before
    after = ours.models.read_current()
    assert (after.version, after.model.document) == (strict_model().version, strict_model().document)
    assert ours.models.recall() is after


def test_the_model_of_an_empty_store_is_replaced_and_the_old_one_kept(identity: Identity) -> None:
    assert replace(identity, strict_model())

    assert kept(identity.store) == {small_model().version: (0, False), strict_model().version: (9, True)}


@pytest.mark.parametrize("is_withdrawn", [False, True])
def test_a_model_that_resolved_a_record_is_not_replaced(identity: Identity, *, is_withdrawn: bool) -> None:
    tell(identity, stated("1", email=("ann",)))
    if is_withdrawn:
        tell(identity, withdrawn("1"))

    assert not replace(identity, strict_model())

    assert kept(identity.store) == {small_model().version: (0, True)}


def test_a_model_is_not_replaced_when_another_than_expected_is_active(identity: Identity) -> None:
    replace(identity, strict_model())

    assert not replace(identity, default_scoring_model())

    assert identity.models.read_current().version == strict_model().version


def test_a_model_may_become_active_again_and_its_time_begins_anew(identity: Identity) -> None:
    replace(identity, strict_model())

    assert identity.models.replace_untrained(small_model(), expected_version=strict_model().version, now=11)

    assert kept(identity.store) == {small_model().version: (11, True), strict_model().version: (9, False)}


def test_of_many_that_replace_a_model_at_once_one_does(place: Place) -> None:
    identities = [place.open_identity() for _ in range(4)]
    models = [small_model_but(description=f"model {number}") for number in range(4)]

    with ThreadPoolExecutor(4) as threads:
        replaced = list(threads.map(replace, identities, models))

    assert replaced.count(True) == 1
    active = [version for version, (_, is_active) in kept(identities[0].store).items() if is_active]
    assert active == [models[replaced.index(True)].version]


def test_a_document_that_was_changed_is_refused(place: Place) -> None:
    store = place.open_store()
    store_model(store, small_model(), now=1)
    with store.write() as tx:
        tx.connection.execute(update(tables.scoring_model).values(document=strict_model().document))

    with pytest.raises(InvariantBroken):
        begin(store, now=2).read_current()


def test_a_store_with_two_active_models_is_refused(identity: Identity) -> None:
    replace(identity, strict_model())
    with identity.store.write() as tx:
        tx.connection.execute(update(tables.scoring_model).values(is_active=True))

    with pytest.raises(InvariantBroken):
        identity.models.read_current()
    with pytest.raises(InvariantBroken):
        identity.resolve([stated("1", email=("ann",))])
