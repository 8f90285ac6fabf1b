"""Commands made ready: the same statement gives the same digests, profiles and blocking keys."""

from __future__ import annotations

from dataclasses import replace

from identity.contract import SourceContract, read_contract
from identity.model import RecordCommand, RecordRef
from identity.prepare import Preparer, StoredStatement
from identity.store_sql.sealing import Sealer
from matching.block import compile_blocker
from matching.model import column_position, decode_profile
from matching.scoring_model import default_scoring_model
from matching.standardise import clean_attributes

SEALER = Sealer(b"k" * 32)
PREPARER = Preparer(
    blocker=compile_blocker(default_scoring_model(), hash_key=SEALER.blocking_hash_key),
    hasher=SEALER,
    model_version=default_scoring_model().version,
)
ANN: dict[str, object] = {"full_name": "Ann Smith", "email": "ann@web.de", "phone": "030 901820"}


def contract(version: int = 1, **fields: object) -> SourceContract:
    return read_contract("crm", {"domain": "sales", **fields}, version=version)


def command(attributes: dict[str, object], *, source: str = "crm", key: str = "1") -> RecordCommand:
    return RecordCommand(RecordRef(source, key), clean_attributes(attributes))


def test_the_same_statement_gives_the_same_however_its_attributes_are_ordered() -> None:
    turned = dict(reversed(ANN.items()))

    assert replace(PREPARER.prepare(command(turned), contract()), command=command(ANN)) == PREPARER.prepare(
        command(ANN), contract()
    )


def test_the_digest_is_of_the_whole_content() -> None:
    plain = command(ANN)
    variants = [
        plain,
        command(ANN | {"email": "ann@gmx.de"}),
        replace(plain, alternate_keys={"old": "7"}),
        replace(plain, same_as=RecordRef("shop", "9")),
        RecordCommand(plain.ref, None),
        command({}),
    ]

    digests = {PREPARER.prepare(one, contract()).digest for one in variants}

    assert len(digests) == len(variants)


def test_version_time_and_author_are_no_content() -> None:
    other = replace(command(ANN), version=9, effective_at=5, author="ann")

    assert PREPARER.prepare(other, contract()).digest == PREPARER.prepare(command(ANN), contract()).digest


def test_the_same_attributes_of_two_sources_are_two_profiles_with_the_same_blocking_keys() -> None:
    ours = PREPARER.prepare(command(ANN), contract())
    theirs = PREPARER.prepare(command(ANN, source="shop"), contract())

    assert ours.profile == theirs.profile
    assert ours.profile_digest != theirs.profile_digest
    assert ours.hashes == theirs.hashes


def test_two_records_of_a_source_with_the_same_attributes_are_one_profile() -> None:
    one, other = (PREPARER.prepare(command(ANN, key=key), contract()) for key in ("1", "2"))

    assert one.profile_digest == other.profile_digest
    assert one.ref_hash != other.ref_hash


def test_the_profile_is_what_is_stored_of_it() -> None:
    prepared = PREPARER.prepare(command(ANN), contract())

    assert prepared.encoded_profile is not None
    assert decode_profile(prepared.encoded_profile) == prepared.profile


def test_a_phone_without_country_takes_that_of_the_source() -> None:
    at = column_position("phones")

    plain, german = (
        PREPARER.prepare(command(ANN), contract()),
        PREPARER.prepare(command(ANN), contract(region="DE")),
    )

    assert plain.profile is not None
    assert german.profile is not None
    assert plain.profile[at] == ("030901820",)
    assert german.profile[at] == ("4930901820",)


def test_a_withdrawal_has_a_digest_of_its_own_and_nothing_to_compare() -> None:
    prepared = PREPARER.prepare(RecordCommand(RecordRef("crm", "1"), None), contract())

    assert (prepared.statement, prepared.profile, prepared.profile_digest, prepared.hashes) == (
        None,
        None,
        None,
        (),
    )
    assert len(prepared.digest) == 16


def test_a_statement_without_attributes_has_a_profile_and_no_blocking_keys() -> None:
    prepared = PREPARER.prepare(command({}), contract())

    assert prepared.profile is not None
    assert prepared.hashes == ()


def test_warnings_name_the_attribute_and_not_its_value() -> None:
    prepared = PREPARER.prepare(command({"email": "canary at nowhere"}), contract())

    assert prepared.warnings == (("email[0]", "unparseable"),)


def test_a_stored_statement_read_again_keeps_its_digest_and_takes_the_profile_of_the_new_contract() -> None:
    before = PREPARER.prepare(command(ANN), contract())
    stored = StoredStatement(
        17, before.digest, {"attributes": ANN, "alternate_keys": {}, "same_as": {"cid": "x"}}
    )

    again = PREPARER.prepare_again(command(ANN), contract(2, region="DE"), stored=stored)

    assert (again.digest, again.reread_vid) == (before.digest, 17)
    assert again.statement is not None
    assert b'"cid":"x"' in again.statement
    assert again.profile != before.profile


def test_hashes_cannot_be_told_without_the_stores_key() -> None:
    other = Sealer(b"o" * 32)
    stranger = Preparer(
        blocker=compile_blocker(default_scoring_model(), hash_key=other.blocking_hash_key),
        hasher=other,
        model_version=default_scoring_model().version,
    )

    ours, theirs = PREPARER.prepare(command(ANN), contract()), stranger.prepare(command(ANN), contract())

    assert ours.digest != theirs.digest
    assert ours.profile_digest != theirs.profile_digest
    assert ours.ref_hash != theirs.ref_hash
    assert not set(ours.hashes) & set(theirs.hashes)
