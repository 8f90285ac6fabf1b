"""The frozen values of identity."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from identity.model import (
    FOREVER,
    CidStatus,
    EventType,
    KeyStatus,
    Outcome,
    RecordCommand,
    RecordRef,
    order_bytes,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def test_records_are_ordered_as_utf8_bytes_and_not_as_the_text_of_other_encodings() -> None:
    fullwidth, astral = RecordRef("crm", "\uff21"), RecordRef("crm", "\U0001f600")

    assert order_bytes(fullwidth) < order_bytes(astral)
    assert fullwidth.key.encode("utf-16-be") > astral.key.encode("utf-16-be")


def test_the_source_counts_before_the_key() -> None:
    assert order_bytes(RecordRef("a", "z")) < order_bytes(RecordRef("b", "a"))


@given(st.text(st.characters(codec="utf-8")), st.text(st.characters(codec="utf-8")))
def test_two_records_are_equal_in_order_only_when_they_are_the_same(one: str, other: str) -> None:
    is_equal = order_bytes(RecordRef("crm", one)) == order_bytes(RecordRef("crm", other))

    assert is_equal == (one == other)


def test_for_ever_is_the_last_microsecond_of_the_year_9999() -> None:
    assert datetime.max.replace(tzinfo=UTC) - EPOCH == timedelta(microseconds=FOREVER)


def test_a_command_without_attributes_is_a_withdrawal_and_one_with_none_stated_is_not() -> None:
    assert RecordCommand(RecordRef("crm", "1"), None).is_withdrawal
    assert not RecordCommand(RecordRef("crm", "1"), {}).is_withdrawal


def test_a_command_cannot_be_changed() -> None:
    command = RecordCommand(RecordRef("crm", "1"), {})

    with pytest.raises(FrozenInstanceError):
        command.version = 2  # type: ignore[misc]


def test_outcomes_stand_in_their_order_of_precedence() -> None:
    assert list(Outcome) == [
        "held", "withdrawn", "split", "merged", "linked", "issued", "updated", "stale", "unchanged",
    ]  # fmt: skip


def test_events_statuses_of_keys_and_statuses_of_cids_are_those_that_clients_are_built_on() -> None:
    assert set(EventType) == {
        "issued", "linked", "moved", "merged", "split", "withdrawn", "returned", "renamed", "backdated", "erased",
    }  # fmt: skip
    assert set(KeyStatus) == {"live", "withdrawn", "renamed", "held", "erased", "unknown"}
    assert set(CidStatus) == {"live", "merged", "split", "withdrawn", "erased"}
