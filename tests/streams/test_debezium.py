"""Changes as Debezium 3.6 wrote them for PostgreSQL 15, in every form; what each must be read as.

The messages in `captured_changes.json` were taken from a running connector and cut down to a few columns:
a row 1 from the snapshot; a row 3 inserted, updated (its large values did not change and were not sent), its
key changed to 4, deleted; a row with infinite dates, one from before our era; a truncation.
"""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from identity.contract import SourceContract, read_contract
from streams.message import MessageReader
from streams.model import Ignored, NotTaken, Rename, SourceMessage, Statement, Truncation, Withdrawal

CAPTURED = orjson.loads(Path(__file__).with_name("captured_changes.json").read_bytes())
ALL = [(form, change) for form, changes in CAPTURED.items() for change in changes]
TELLING = [form for form in CAPTURED if form != "flat, nothing told"]
"""Forms that carry the position in the log."""

SNAPSHOT_LSNS = range(22_000_000, 22_290_000)


def contract(**changes: object) -> SourceContract:
    document = {
        "domain": "sales",
        "key": "id",
        "mapping": {
            "given_name": "given",
            "birth_date": "birth",
            "email": "contact.mail",
            "phone": "contact.phones.number",
            "other_names": "note",
            "identifiers.x-tag": "tags",
        },
        **changes,
    }
    return read_contract("crm", {k: v for k, v in document.items() if v is not None}, version=1)


def as_sent(message: dict[str, object]) -> tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]]]:
    headers = message["headers"]
    assert isinstance(headers, dict)
    return (
        None if message["key"] is None else orjson.dumps(message["key"]),
        None if message["value"] is None else orjson.dumps(message["value"]),
        [
            (name, text.encode() if isinstance(text, str) else orjson.dumps(text))
            for name, text in headers.items()
        ],
    )


def read(form: str, change: str, under: SourceContract | None = None) -> SourceMessage:
    return MessageReader(under or contract()).read(*as_sent(CAPTURED[form][change]))


def forms_with(change: str) -> list[str]:
    return [form for form, changes in CAPTURED.items() if change in changes]


@pytest.mark.parametrize("form", forms_with("snapshot"))
def test_a_row_of_the_snapshot_is_a_statement(form: str) -> None:
    stated = read(form, "snapshot")

    assert isinstance(stated, Statement)
    assert stated.key == "1"
    assert stated.attributes == {
        "given_name": "Ada",
        "birth_date": "1815-12-10",
        "email": ["ada@example.org"],
        "phone": ["+49 30 1"],
        "other_names": ["a long note"],
        "identifiers": [{"scheme": "x-tag", "value": "a"}, {"scheme": "x-tag", "value": "b"}],
    }
    assert stated.unavailable == frozenset()


@pytest.mark.parametrize("form", forms_with("update"))
def test_what_an_update_did_not_send_is_named_and_never_taken_for_a_value(form: str) -> None:
    stated = read(form, "update")

    assert isinstance(stated, Statement)
    assert stated.attributes == {"given_name": "Bobby"}
    assert stated.unavailable == {"email", "phone", "other_names", "identifiers.x-tag"}


@pytest.mark.parametrize("form", [form for form in TELLING if "update" in CAPTURED[form]])
def test_the_version_of_a_change_is_its_position_in_the_log(form: str) -> None:
    snapshot, update = read(form, "snapshot"), read(form, "update")

    assert isinstance(snapshot, Statement)
    assert isinstance(update, Statement)
    assert snapshot.version in SNAPSHOT_LSNS
    assert update.version == 22_292_464


@pytest.mark.parametrize("form", [form for form in TELLING if "rename, old key" in CAPTURED[form]])
def test_a_changed_primary_key_is_one_rename_told_twice(form: str) -> None:
    old, new = read(form, "rename, old key"), read(form, "rename, new key")

    assert isinstance(old, Rename)
    assert isinstance(new, Rename)
    assert (old.old_key, old.new_key, old.version) == (new.old_key, new.new_key, new.version)
    assert (old.old_key, old.new_key, old.version) == ("3", "4", 22_292_744)
    assert old.then is None
    assert isinstance(new.then, Statement)
    assert (new.then.key, new.then.version) == ("4", 22_292_744)
    assert new.then.attributes == {"given_name": "Bobby"}


@pytest.mark.parametrize("form", forms_with("tombstone of the rename"))
def test_the_tombstone_under_the_old_key_says_nothing(form: str) -> None:
    assert read(form, "tombstone of the rename") == Ignored("tombstone")


@pytest.mark.parametrize("form", forms_with("deletion"))
def test_a_deletion_withdraws_and_its_nulls_are_no_values(form: str) -> None:
    withdrawn = read(form, "deletion")

    assert isinstance(withdrawn, Withdrawal)
    assert (withdrawn.key, withdrawn.version, withdrawn.is_tombstone) == ("4", 22_293_048, False)


@pytest.mark.parametrize("form", forms_with("tombstone"))
def test_a_tombstone_withdraws_without_a_version_so_that_it_undoes_nothing_later(form: str) -> None:
    assert read(form, "tombstone") == Withdrawal("4", None, None, None, is_tombstone=True)


@pytest.mark.parametrize("form", forms_with("truncation"))
def test_a_truncation_has_the_position_that_parts_older_from_newer(form: str) -> None:
    assert read(form, "truncation") == Truncation(22_298_224, 1_795_529_267_665_812)


@pytest.mark.parametrize("form", forms_with("infinity"))
def test_an_infinite_date_is_absent(form: str) -> None:
    stated = read(form, "infinity")

    assert isinstance(stated, Statement)
    assert stated.attributes == {}


@pytest.mark.parametrize("form", forms_with("before our era"))
def test_a_date_before_the_year_1_is_absent(form: str) -> None:
    stated = read(form, "before our era")

    assert isinstance(stated, Statement)
    assert stated.attributes == {}


@pytest.mark.parametrize("form", forms_with("snapshot"))
def test_a_time_stated_by_a_column_reads_the_same_in_every_encoding(form: str) -> None:
    stated = read(form, "snapshot", contract(mapping={"given_name": "given", "effective_at": "changed"}))

    assert isinstance(stated, Statement)
    assert stated.effective_at is not None
    assert stated.effective_at.rstrip("Z").rstrip("0") == "2026-01-02T03:04:05.678"


@pytest.mark.parametrize("form", [form for form in CAPTURED if "wrapped" in form or form == "envelope"])
def test_a_decimal_reads_the_same_wherever_its_encoding_is_told(form: str) -> None:
    under = contract(key="customer_no", alternate_keys={"row": "id"})

    stated = read(form, "snapshot", under)

    assert isinstance(stated, Statement)
    assert stated.key == "4711"
    assert stated.alternate_keys == {"row": "1"}


@pytest.mark.parametrize(("form", "change"), ALL)
def test_without_a_path_of_the_key_the_messages_key_is_it(form: str, change: str) -> None:
    with_path, without = read(form, change), read(form, change, contract(key=None))

    assert without == with_path


def test_a_deletion_that_does_not_tell_the_contracts_key_is_not_taken_and_says_how_to() -> None:
    message = read("envelope", "deletion", contract(key="customer_no"))

    assert isinstance(message, NotTaken)
    assert message.code == "key_missing"
    assert "REPLICA IDENTITY" in message.detail
    assert "message.key.columns" in message.detail


def test_a_new_primary_key_under_an_unchanged_source_key_is_no_rename() -> None:
    captured = CAPTURED["envelope"]
    number = {"customer_no": "4711"}
    old = {**captured["rename, old key"], "key": number, "headers": {"__debezium.newkey": number}}
    value = captured["rename, new key"]["value"]
    new = {
        "key": number,
        "headers": {"__debezium.oldkey": number},
        "value": {**value, "after": {**value["after"], **number}},
    }
    reader = MessageReader(contract(key="customer_no"))

    assert reader.read(*as_sent(old)) == Ignored("primary_key_change")
    stated = reader.read(*as_sent(new))
    assert isinstance(stated, Statement)
    assert stated.key == "4711"


def test_a_composite_key_is_the_array_of_its_parts_also_where_only_the_key_tells_it() -> None:
    under = contract(key=["tenant", "id"])
    key = {"id": 4, "tenant": "b"}
    captured = {**CAPTURED["envelope"]["deletion"], "key": key}
    reader = MessageReader(under)

    withdrawn = reader.read(*as_sent(captured))

    assert isinstance(withdrawn, Withdrawal)
    assert withdrawn.key == '["b","4"]'


def test_a_row_marked_as_gone_is_a_withdrawal_of_its_version() -> None:
    under = contract(mapping={"given_name": "given", "withdrawn": "note"})
    captured = CAPTURED["envelope"]["snapshot"]
    after = {**captured["value"]["after"], "note": "true"}
    value = {**captured["value"], "after": after}

    withdrawn = MessageReader(under).read(*as_sent({**captured, "value": value}))

    assert isinstance(withdrawn, Withdrawal)
    assert withdrawn.version == captured["value"]["source"]["lsn"]


def test_the_cid_that_a_row_bears_is_seen() -> None:
    captured = CAPTURED["envelope"]["snapshot"]
    after = {**captured["value"]["after"], "cid": "0190163d-8694-739b-aea5-966c26f8ad91"}
    value = {**captured["value"], "after": after}

    stated = MessageReader(contract(), cid_field="cid").read(*as_sent({**captured, "value": value}))

    assert isinstance(stated, Statement)
    assert stated.seen_cid == "0190163d-8694-739b-aea5-966c26f8ad91"
    assert "cid" not in stated.attributes


def test_a_message_in_the_log_says_only_how_far_the_log_is() -> None:
    value = {"op": "m", "ts_ms": 1, "source": {"lsn": 5}, "message": {"prefix": "p", "content": "aGk="}}

    assert MessageReader(contract()).read(b'{"prefix":"p"}', orjson.dumps(value)) == Ignored("log_message", 5)


@pytest.mark.parametrize(
    "value",
    [
        {"op": "x", "source": {}, "after": {"id": 1}},
        {"op": "u", "source": {}, "after": None},
        {"op": "t", "source": {}},
        {"op": "d", "source": {}, "before": None},
        {"op": "c", "source": {"lsn": 1}, "after": {"id": {"deep": 1}}},
        {"op": "c", "source": {"lsn": 1}, "after": {"id": 1, "given": {"canary": 1}}},
        {"op": "c", "source": {"lsn": 1}, "after": {"id": 1, "birth": 1_980}},
    ],
)
def test_a_change_that_cannot_be_read_is_not_taken(value: dict[str, object]) -> None:
    message = MessageReader(contract()).read(None, orjson.dumps(value))

    assert isinstance(message, NotTaken)
    assert "canary" not in message.detail


def test_what_is_not_taken_names_its_record_as_far_as_the_key_tells_it() -> None:
    value = {"op": "c", "source": {"lsn": 1}, "after": {"id": 7, "birth": 1_980}}

    message = MessageReader(contract()).read(b'{"id":7}', orjson.dumps(value))

    assert isinstance(message, NotTaken)
    assert (message.code, message.key) == ("encoding_unclear", "7")


def test_a_renamed_key_whose_header_is_no_json_is_not_taken_for_a_new_record() -> None:
    captured = CAPTURED["envelope"]["rename, new key"]
    key, value, _ = as_sent(captured)

    message = MessageReader(contract()).read(key, value, [("__debezium.oldkey", b"Struct{id=3}")])

    assert isinstance(message, NotTaken)
    assert "header.converter" in message.detail
