"""Sealed statements and keyed hashes: what is changed or another's is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from identity.errors import InvariantBroken
from identity.model import RecordRef
from identity.service import Identity
from identity.store_sql.sealing import Sealer
from tests.identity.stores import Place, find_cid, stated, tell

OURS, THEIRS = Sealer(b"k" * 32), Sealer(b"x" * 32)


@given(st.binary(max_size=200))
def test_what_is_sealed_is_opened_with_its_data_key(plain: bytes) -> None:
    data_key, wrapped = OURS.new_data_key()

    assert OURS.open(OURS.unwrap(wrapped), OURS.seal(data_key, plain)) == plain


@given(st.binary(max_size=50), st.integers(0), st.integers(1, 255))
def test_a_changed_byte_is_refused(plain: bytes, at: int, flip: int) -> None:
    data_key, _ = OURS.new_data_key()
    sealed = bytearray(OURS.seal(data_key, plain))
    sealed[at % len(sealed)] ^= flip

    with pytest.raises(InvariantBroken):
        OURS.open(data_key, bytes(sealed))


def test_a_statement_is_not_opened_with_the_data_key_of_another_record() -> None:
    ours, _ = OURS.new_data_key()
    theirs, _ = OURS.new_data_key()

    with pytest.raises(InvariantBroken):
        OURS.open(theirs, OURS.seal(ours, b"ann"))


def test_a_data_key_is_not_unwrapped_with_the_key_of_another_store() -> None:
    _, wrapped = OURS.new_data_key()

    with pytest.raises(InvariantBroken):
        THEIRS.unwrap(wrapped)


def test_the_same_content_is_never_sealed_to_the_same_bytes() -> None:
    data_key, _ = OURS.new_data_key()

    assert OURS.seal(data_key, b"ann") != OURS.seal(data_key, b"ann")


def test_digests_are_the_same_in_every_program_of_a_store_and_of_no_other() -> None:
    ref = RecordRef("crm", "1")

    assert Sealer(b"k" * 32).digest(b"ann") == OURS.digest(b"ann") != THEIRS.digest(b"ann")
    assert Sealer(b"k" * 32).ref_hash(ref) == OURS.ref_hash(ref) != THEIRS.ref_hash(ref)


def test_the_borders_of_the_parts_of_a_digest_count() -> None:
    assert OURS.digest(b"a", b"bc") != OURS.digest(b"ab", b"c") != OURS.digest(b"abc")


@given(st.text(st.characters(codec="utf-8")))
def test_the_hash_of_a_record_is_a_signed_number_of_64_bits(key: str) -> None:
    assert -(2**63) <= OURS.ref_hash(RecordRef("crm", key)) < 2**63


def test_a_byte_changed_in_the_store_is_refused_when_the_record_is_read(identity: Identity) -> None:
    tell(identity, stated("1", email=("ann",)))
    cid = find_cid(identity, "1")
    with identity.store.write() as tx:
        sealed = bytearray(tx.connection.scalar(text("SELECT sealed_statement FROM record_version")) or b"")
        sealed[-1] ^= 1
        tx.connection.execute(text("UPDATE record_version SET sealed_statement = :s"), {"s": bytes(sealed)})

    with pytest.raises(InvariantBroken):
        identity.golden(cid)


def test_no_value_of_an_attribute_stands_in_the_stores_file_in_clear(sqlite_place: Place) -> None:
    identity = sqlite_place.open_identity()
    tell(identity, stated("1", email=("canary",), city=("canaria",), loyalty="canary7"))
    sqlite_place.close()

    stored = b"".join(path.read_bytes() for path in sqlite_place.directory.iterdir())

    assert b"crm" in stored
    assert b"canar" not in stored.lower()
