"""Statements as sources send them: bodies, lines, rows; what is taken and what is refused."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity.contract import read_contract
from identity.errors import EffectiveInFuture, KeyRefused, StatementRefused
from identity.model import FOREVER, Cause, CauseKind, Cid, CidTarget, RecordCommand, RecordRef
from identity.statement import (
    LineMalformed,
    format_instant,
    parse_instant,
    read_line,
    read_row,
    read_statement,
)
from matching.errors import AttributesInvalid, SameasError

NOW = 1_700_000_000_000_000
CONTRACT = read_contract("crm", {"domain": "sales"}, version=1)
CID = "018bcfe5-6805-7000-8000-000000000000"


def read(body: dict[str, object], key: object = "1") -> RecordCommand:
    return read_statement(CONTRACT, key, body, author="ann", now=NOW)


def line(content: object) -> RecordCommand:
    encoded = content if isinstance(content, bytes) else orjson.dumps(content)
    return read_line(CONTRACT, encoded, author="ann", now=NOW)


def test_a_body_becomes_a_command() -> None:
    command = read(
        {
            "attributes": {"email": "ann@web.de"},
            "effective_at": "2023-11-14T00:00:00Z",
            "version": 7,
            "alternate_keys": {"old": "77"},
            "same_as": {"source": "shop", "key": "9"},
        }
    )

    assert command == RecordCommand(
        RecordRef("crm", "1"),
        {"email": ["ann@web.de"]},
        version=7,
        effective_at=1_699_920_000_000_000,
        alternate_keys={"old": "77"},
        same_as=RecordRef("shop", "9"),
        author="ann",
    )


def test_body_line_and_row_of_one_statement_are_the_same_command() -> None:
    body: dict[str, object] = {"attributes": {"email": "ann@web.de"}, "version": 3}
    cause = Cause(CauseKind.RECORD, "")

    by_body = read(body)

    assert line({"key": "1", **body}) == by_body
    assert read_row(CONTRACT, "1", body, author="ann", now=NOW, cause=cause) == by_body


def test_nulls_are_as_good_as_absence() -> None:
    nulls = {"effective_at": None, "version": None, "alternate_keys": None, "same_as": None}

    assert read({"attributes": {}, **nulls}) == read({"attributes": {}})


def test_a_line_may_withdraw_with_a_version_and_a_time() -> None:
    command = line({"key": "1", "withdrawn": True, "version": 4, "effective_at": "2023-11-14T00:00:00Z"})

    assert command.is_withdrawal
    assert command.version == 4
    assert command.effective_at == 1_699_920_000_000_000


def test_a_line_that_is_said_not_to_be_withdrawn_states_attributes() -> None:
    assert not line({"key": "1", "withdrawn": False, "attributes": {}}).is_withdrawal


@pytest.mark.parametrize(
    "content",
    [
        {"key": "1", "withdrawn": True, "attributes": {"email": "a@web.de"}},
        {"key": "1", "withdrawn": True, "same_as": {"cid": CID}},
        {"key": "1", "withdrawn": "yes"},
        {"key": "1", "withdrawn": 1},
        {"key": "1"},
    ],
)
def test_a_line_that_says_two_things_or_nothing_is_refused(content: dict[str, object]) -> None:
    with pytest.raises(StatementRefused):
        line(content)


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'"text"', b"null", b'{"key":"\xff"}', b"NaN"])
def test_a_line_that_is_no_json_object_is_malformed(content: bytes) -> None:
    with pytest.raises(LineMalformed):
        line(content)


def test_unknown_fields_are_counted_and_not_repeated() -> None:
    with pytest.raises(StatementRefused, match=r"1 unknown field\(s\)") as refused:
        read({"attributes": {}, "ann@web.de": 1})

    assert "ann" not in str(refused.value)


def test_a_body_cannot_withdraw() -> None:
    with pytest.raises(StatementRefused):
        read({"withdrawn": True})


@pytest.mark.parametrize("version", [-1, 2**63, 1.0, "1", True, [1]])
def test_a_version_that_is_no_whole_number_of_63_bits_is_refused(version: object) -> None:
    with pytest.raises(StatementRefused, match="version"):
        read({"attributes": {}, "version": version})


@pytest.mark.parametrize("version", [0, 2**63 - 1])
def test_a_version_may_be_any_number_of_63_bits(version: int) -> None:
    assert read({"attributes": {}, "version": version}).version == version


@pytest.mark.parametrize("attributes", [None, [], "text", 1])
def test_attributes_that_are_no_object_are_refused(attributes: object) -> None:
    with pytest.raises(StatementRefused, match="attributes"):
        read({"attributes": attributes})


def test_an_attribute_of_a_wrong_type_is_refused_by_its_name_alone() -> None:
    with pytest.raises(AttributesInvalid, match="family_name") as refused:
        read({"attributes": {"family_name": ["Canary"]}})

    assert "Canary" not in str(refused.value)


def test_a_key_that_breaks_the_contract_is_refused() -> None:
    with pytest.raises(KeyRefused):
        read({"attributes": {}}, key=17)


# ------------------------------------------------------------------------------------------------- time


def test_a_time_may_be_a_minute_ahead_of_the_clock_and_no_more() -> None:
    at_most = NOW + 60_000_000

    assert read({"attributes": {}, "effective_at": format_instant(at_most)}).effective_at == at_most
    with pytest.raises(EffectiveInFuture):
        read({"attributes": {}, "effective_at": format_instant(at_most + 1)})


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1969-12-31T23:59:59.999999Z", -1),
        ("2023-11-14T23:13:20+01:00", NOW),
        ("2023-11-14t22:13:20z", NOW),
        ("2023-11-14 22:13Z", NOW - 20_000_000),
        ("2023-11-14T22:13:20.5Z", NOW + 500_000),
        ("2023-11-14T22:13:20.1234569Z", NOW + 123_456),
    ],
)
def test_a_time_is_read_in_microseconds_of_utc(text: str, instant: int) -> None:
    assert parse_instant(text, "effective_at") == instant


@pytest.mark.parametrize(
    "value",
    ["2023-11-14", "2023-11-14T22:13:20", "20231114T221320Z", "2023-13-01T00:00:00Z", "2023-02-30T00:00:00Z",
     "2023-11-14T24:30:00Z", "2023-11-14T22:13:20+25:00", "now", "", 1_700_000_000, True, "２０２３-11-14T22:13:20Z"],
)  # fmt: skip
def test_what_is_no_time_with_an_offset_is_refused(value: object) -> None:
    with pytest.raises(StatementRefused, match="known_at"):
        parse_instant(value, "known_at")


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"])
def test_a_time_before_the_year_1_or_after_9999_is_refused(text: str) -> None:
    with pytest.raises(SameasError):
        parse_instant(text, "effective_at")


@given(st.integers(-62_135_596_800_000_000, FOREVER))
def test_a_time_written_is_the_time_read(instant: int) -> None:
    assert parse_instant(format_instant(instant), "effective_at") == instant


@given(st.integers(-60_000_000_000_000_000, 250_000_000_000_000_000), st.integers(-1439, 1439))
def test_the_offset_is_taken_into_account(instant: int, offset_minutes: int) -> None:
    local = format_instant(instant + offset_minutes * 60_000_000).removesuffix("Z")
    hours, minutes = divmod(abs(offset_minutes), 60)

    read = parse_instant(
        f"{local}{'-' if offset_minutes < 0 else '+'}{hours:02d}:{minutes:02d}", "effective_at"
    )

    assert read == instant


# ---------------------------------------------------------------------------------------- other fields


def test_same_as_may_name_a_cid() -> None:
    assert read({"attributes": {}, "same_as": {"cid": CID}}).same_as == CidTarget(Cid(CID))


def test_same_as_that_names_the_record_itself_says_nothing() -> None:
    assert read({"attributes": {}, "same_as": {"source": "crm", "key": "1"}}).same_as is None


@pytest.mark.parametrize(
    "same_as",
    [
        "1",
        {},
        {"cid": CID.upper()},
        {"cid": CID + "\n"},
        {"cid": None},
        {"cid": CID, "source": "crm", "key": "1"},
        {"source": "crm"},
        {"source": "CRM", "key": "1"},
        {"source": "crm", "key": ""},
        {"source": "crm", "key": "x" * 513},
        {"source": "crm", "key": 1},
        {"source": "crm", "key": "a\x00b"},
        {"source": "crm", "key": "a\ud800"},
    ],
)
def test_same_as_that_names_neither_a_record_nor_a_cid_is_refused(same_as: object) -> None:
    with pytest.raises(StatementRefused, match="same_as"):
        read({"attributes": {}, "same_as": same_as})


@pytest.mark.parametrize(
    "alternate_keys",
    [
        "1",
        [["old", "1"]],
        {"old": 1},
        {"old": ""},
        {"old": "x" * 513},
        {"": "1"},
        {"x" * 64: "1"},
        {"old": "a\x00b"},
        {"old\x00": "1"},
        {"old": "a\ud800"},
        {f"k{number}": "1" for number in range(17)},
    ],
)
def test_alternate_keys_that_are_no_object_of_keys_are_refused(alternate_keys: object) -> None:
    with pytest.raises(StatementRefused, match="alternate_keys"):
        read({"attributes": {}, "alternate_keys": alternate_keys})
