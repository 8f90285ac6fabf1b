"""Plain messages: the source key is the message's key, the value the statement, null a withdrawal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity.contract import read_contract
from streams.model import NotTaken, Statement, Withdrawal
from streams.plain_message import is_plain, read_plain, read_plain_null

CRM = read_contract("crm", {"domain": "sales"}, version=1)
PARTED = read_contract("crm", {"domain": "sales", "key": ["tenant", "id"]}, version=1)


def test_a_statement_is_its_value_under_the_messages_key() -> None:
    payload = {
        "attributes": {"given_name": "Ada"},
        "effective_at": "2026-01-02T03:04:05Z",
        "version": 3,
        "alternate_keys": {"legacy": "A-1"},
        "same_as": {"source": "shop", "key": "9"},
    }

    stated = read_plain(CRM, b"C-17", payload)

    assert is_plain(payload)
    assert isinstance(stated, Statement)
    assert stated.key == "C-17"
    assert stated.to_body(now=0) == payload


@given(st.text(min_size=1, max_size=40))
def test_any_text_can_be_the_key(key: str) -> None:
    stated = read_plain(CRM, key.encode("utf-8", "surrogatepass"), {"attributes": {}})

    if any(0xD800 <= ord(letter) < 0xE000 for letter in key):
        assert isinstance(stated, NotTaken)
    else:
        assert stated == Statement(key, {})


def test_a_composite_key_has_one_form_however_its_array_was_written() -> None:
    assert read_plain(PARTED, b'[ "a" , "7" ]', {"attributes": {}}) == Statement('["a","7"]', {})
    assert read_plain(PARTED, b"not an array", {"attributes": {}}) == Statement("not an array", {})
    assert read_plain(CRM, b'[ "a" , "7" ]', {"attributes": {}}) == Statement('[ "a" , "7" ]', {})


def test_a_null_withdraws_and_its_headers_may_tell_version_and_time() -> None:
    headers = [("version", b"9"), ("effective_at", b"2026-01-02T03:04:05Z"), ("other", None)]

    assert read_plain_null(CRM, b"C-17", []) == Withdrawal("C-17")
    assert read_plain_null(CRM, b"C-17", headers) == Withdrawal("C-17", 9, "2026-01-02T03:04:05Z")


def test_a_withdrawal_is_the_line_that_withdraws() -> None:
    withdrawn = Withdrawal("C-17", 9, "2026-01-02T03:04:05Z")

    assert withdrawn.to_body(now=0) == {
        "withdrawn": True,
        "version": 9,
        "effective_at": "2026-01-02T03:04:05Z",
    }


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ({"attributes": None}, "statement_invalid"),
        ({"attributes": {}, "surname": "canary"}, "statement_invalid"),
        ({"attributes": {}, "version": "canary"}, "statement_invalid"),
        ({"attributes": {}, "version": True}, "statement_invalid"),
        ({"attributes": {}, "effective_at": 7}, "statement_invalid"),
        ({"attributes": {}, "alternate_keys": ["canary"]}, "statement_invalid"),
    ],
)
def test_a_value_of_another_shape_is_not_taken_and_names_its_record(
    payload: dict[str, object], code: str
) -> None:
    refused = read_plain(CRM, b"C-17", payload)

    assert isinstance(refused, NotTaken)
    assert (refused.code, refused.key) == (code, "C-17")
    assert "canary" not in refused.detail


@pytest.mark.parametrize(
    ("key", "code"), [(None, "key_missing"), (b"", "key_missing"), (b"\xff", "encoding_invalid")]
)
def test_a_message_without_a_key_that_is_text_is_not_taken(key: bytes | None, code: str) -> None:
    for refused in (read_plain(CRM, key, {"attributes": {}}), read_plain_null(CRM, key, [])):
        assert isinstance(refused, NotTaken)
        assert refused.code == code


def test_a_null_whose_header_is_no_version_is_not_taken() -> None:
    refused = read_plain_null(CRM, b"C-17", [("version", b"canary")])

    assert isinstance(refused, NotTaken)
    assert "canary" not in refused.detail
