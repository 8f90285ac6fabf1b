"""The contracts of a store: versions, what is in force, what a change leaves to be done."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from identity.contract_book import ContractBook
from identity.errors import ContractConflict, ContractRefused, SourceUnknown
from identity.service import Identity
from identity.store_sql import tables
from tests.identity.stores import Place, stated, tell, withdrawn

NOW = 1_700_000_000_000_000


@pytest.fixture
def book(place: Place) -> ContractBook:
    return ContractBook(place.open_store())


def put(book: ContractBook, **fields: object) -> tuple[int, bool]:
    contract, is_new = book.put("shop", {"domain": "sales", **fields}, author="ann", now=NOW)
    return contract.version, is_new


def test_the_first_contract_makes_the_source(book: ContractBook) -> None:
    assert put(book) == (1, True)

    assert book.get("shop").contract.domain == "sales"
    assert not book.get("shop").is_retired


def test_the_same_document_again_makes_no_version(book: ContractBook) -> None:
    put(book, owner="a", region="DE")

    assert put(book, region="DE", owner="a") == (1, False)


def test_another_document_is_the_next_version_and_the_old_one_is_kept(place: Place) -> None:
    store = place.open_store()
    book = ContractBook(store)
    put(book, owner="a")

    assert put(book, owner="b") == (2, False)

    with store.read() as connection:
        kept = connection.execute(
            select(tables.source_contract).order_by(tables.source_contract.c.version)
        ).all()
    assert [(row.version, '"a"' in row.document, row.created_by) for row in kept] == [
        (1, True, "ann"),
        (2, False, "ann"),
    ]


def test_a_source_that_never_had_a_contract_is_unknown(book: ContractBook) -> None:
    with pytest.raises(SourceUnknown, match="shop"):
        book.get("shop")


def test_a_contract_that_would_break_stored_keys_is_refused_and_nothing_is_stored(book: ContractBook) -> None:
    put(book, key="id")

    with pytest.raises(ContractConflict, match="key"):
        put(book, key="number")

    assert book.get("shop").contract.key_path == "id"
    assert book.get("shop").contract.version == 1


def test_a_refused_document_stores_nothing(book: ContractBook) -> None:
    with pytest.raises(ContractRefused):
        put(book, region="Germany")

    assert book.read_current() == {}


def test_an_illegal_name_is_refused_before_anything_is_read(book: ContractBook) -> None:
    with pytest.raises(ContractRefused):
        book.put("Shop\x00", {"domain": "sales"}, author="ann", now=NOW)


def test_a_contract_put_by_another_program_is_in_force_at_once(place: Place) -> None:
    ours, theirs = ContractBook(place.open_store()), ContractBook(place.open_store())
    put(ours, owner="a")
    assert theirs.get("shop").contract.owner == "a"

    put(ours, owner="b")

    assert theirs.get("shop").contract.owner == "b"


def test_a_change_that_matters_to_matching_leaves_the_live_records_to_be_read_again(
    identity: Identity,
) -> None:
    tell(identity, stated("1", email=("a",)), stated("2", email=("b",)), stated("3", email=("c",)))
    tell(identity, withdrawn("3", version=1), stated("9", "one"))

    identity.put_source("crm", {"domain": "sales", "region": "DE"}, author="test")

    assert identity.unsettled() == 2


def test_a_second_change_before_the_first_is_settled_notes_each_record_once(identity: Identity) -> None:
    tell(identity, stated("1", email=("a",)))

    identity.put_source("crm", {"domain": "sales", "region": "DE"}, author="test")
    identity.put_source("crm", {"domain": "sales", "region": "FR"}, author="test")

    assert identity.unsettled() == 1


def test_a_change_that_matters_to_nobody_leaves_nothing_to_do(identity: Identity) -> None:
    tell(identity, stated("1", email=("a",)))

    identity.put_source("crm", {"domain": "sales", "owner": "b"}, author="test")

    assert identity.unsettled() == 0


def test_the_epoch_is_raised_and_never_lowered(book: ContractBook) -> None:
    put(book)
    put(book, epoch=2)

    with pytest.raises(ContractConflict, match="epoch of source shop is 2"):
        put(book, epoch=1)


def test_a_contract_knows_with_which_version_its_epoch_began(place: Place) -> None:
    store = place.open_store()
    for fields in ({}, {"owner": "a"}, {"epoch": 1}, {"epoch": 1, "owner": "b"}):
        put(ContractBook(store), **fields)

    book = ContractBook(store)

    assert book.get("shop").contract.epoch_since == 3
    assert [book.get_version("shop", number).epoch_since for number in (1, 2, 3, 4)] == [1, 1, 3, 3]
    assert [book.get_version("shop", number).epoch for number in (2, 3)] == [0, 1]
