"""Values of columns: told by their type, or by what they are read for."""

from __future__ import annotations

from base64 import b64encode
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.column_values import ColumnReader, is_unavailable
from streams.errors import EncodingUnclear, RowMalformed

READ = ColumnReader(
    frozenset({"x", "doc", "born", "since"}),
    nested=frozenset({"doc"}),
    dates=frozenset({"born"}),
    instants=frozenset({"since"}),
)
DAYS = st.dates(date(1500, 1, 1), date(2242, 1, 1))
INSTANTS = st.integers(0, 4_000_000_000_000_000)


def typed(value: object, name: str, **schema: object) -> object:
    read, _ = READ({"x": value}, {"fields": [{"field": "x", "name": name, **schema}]})
    return read.get("x")


def untyped(column: str, value: object) -> object:
    return READ({column: value}, None)[0].get(column)


@given(DAYS)
def test_a_day_is_the_same_day_in_every_type(day: date) -> None:
    days = (day - date(1970, 1, 1)).days

    assert typed(days, "io.debezium.time.Date") == day.isoformat()
    assert typed(days, "org.apache.kafka.connect.data.Date") == day.isoformat()
    assert typed(f"{day.isoformat()}Z", "io.debezium.time.IsoDate") == day.isoformat()
    assert untyped("born", f"{day.isoformat()}Z") == day.isoformat()


@given(DAYS)
def test_a_day_without_a_type_is_that_day_or_refused(day: date) -> None:
    days = (day - date(1970, 1, 1)).days

    try:
        read = untyped("born", days)
    except EncodingUnclear:
        assert 1_000 <= days < 3_000
    else:
        assert read == day.isoformat()


@given(INSTANTS)
def test_an_instant_is_the_same_instant_in_every_unit(micros: int) -> None:
    text = typed(micros, "io.debezium.time.MicroTimestamp")
    whole = micros // 1_000 * 1_000

    assert typed(micros * 1_000, "io.debezium.time.NanoTimestamp") == text
    assert typed(whole // 1_000, "io.debezium.time.Timestamp") == typed(
        whole, "io.debezium.time.MicroTimestamp"
    )


@given(st.integers(200_000_000, 4_000_000_000))
def test_the_unit_of_an_instant_without_a_type_is_told_by_its_size(seconds: int) -> None:
    expected = typed(seconds * 1_000_000, "io.debezium.time.MicroTimestamp")

    assert {untyped("since", seconds * unit) for unit in (1, 10**3, 10**6, 10**9)} == {expected}


@given(st.decimals(allow_nan=False, allow_infinity=False, places=3, max_value=10**12, min_value=-(10**12)))
def test_a_decimal_is_the_same_number_in_both_its_encodings(number: Decimal) -> None:
    unscaled = int(number.scaleb(3))
    raw = b64encode(unscaled.to_bytes(12, "big", signed=True)).decode()

    fixed = typed(raw, "org.apache.kafka.connect.data.Decimal", parameters={"scale": "3"})

    assert Decimal(str(fixed)) == number
    assert typed({"scale": 3, "value": raw}, "io.debezium.data.VariableScaleDecimal") == fixed
    assert untyped("x", {"scale": 3, "value": raw}) == fixed


def test_json_in_text_is_opened_only_where_a_path_leads_into_it() -> None:
    assert untyped("doc", '{"mail": "a@b"}') == {"mail": "a@b"}
    assert untyped("x", '{"mail": "a@b"}') == '{"mail": "a@b"}'
    assert untyped("doc", "{broken") == "{broken"


@pytest.mark.parametrize(
    "value",
    [
        "__debezium_unavailable_value",
        "X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==",
        ["__debezium_unavailable_value"],
        list(b"__debezium_unavailable_value"),
        {"__debezium_unavailable_value": "__debezium_unavailable_value"},
    ],
)
def test_a_value_that_was_not_sent_is_known_in_every_type(value: object) -> None:
    assert is_unavailable(value)
    assert READ({"x": value, "other": value}, None) == ({}, frozenset({"x"}))


@pytest.mark.parametrize("value", ["", "x", [], [1, 2], {}, {"a": 1}, 0, None, True])
def test_any_other_value_was_sent(value: object) -> None:
    assert not is_unavailable(value)


@pytest.mark.parametrize("digits", [19_800_512, 20_241_231])
def test_eight_digits_are_a_date_without_hyphens(digits: int) -> None:
    assert untyped("born", digits) == str(digits)


@pytest.mark.parametrize(
    ("column", "value"), [("born", 1_980), ("born", 1_000_000_000_000), ("since", 1_980), ("since", 10**20)]
)
def test_a_number_that_may_mean_two_things_is_refused_by_its_column(column: str, value: int) -> None:
    with pytest.raises(EncodingUnclear, match=column) as caught:
        untyped(column, value)

    assert str(value) not in str(caught.value)


def test_a_column_that_no_date_is_read_from_keeps_its_number() -> None:
    assert untyped("x", 1_980) == 1_980


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("canary", "io.debezium.time.Date"),
        (True, "io.debezium.time.Timestamp"),
        ("cana=ry", "io.debezium.data.VariableScaleDecimal"),
        ("canary", "org.apache.kafka.connect.data.Decimal"),
        (["canary"], "io.debezium.data.Json"),
    ],
)
def test_a_value_unlike_its_type_is_refused_without_being_repeated(value: object, name: str) -> None:
    with pytest.raises(RowMalformed, match=name) as caught:
        typed(value, name)

    assert "canary" not in str(caught.value)


@given(st.integers(-(10**19), 10**19))
def test_no_number_of_days_or_units_fails(value: int) -> None:
    for name in ("time.Date", "time.Timestamp", "time.MicroTimestamp", "time.NanoTimestamp"):
        text = typed(value, f"io.debezium.{name}")
        assert text is None or (isinstance(text, str) and text[:4].isdigit())


def test_a_month_of_days_around_the_unix_epoch_reads_on_both_sides() -> None:
    days = [typed(number, "io.debezium.time.Date") for number in range(-15, 15)]

    assert days == [(date(1970, 1, 1) + timedelta(number)).isoformat() for number in range(-15, 15)]
