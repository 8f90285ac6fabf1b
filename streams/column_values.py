"""Turn the values of Debezium's columns into what a mapping reads: text, numbers, lists, objects.

How a value is recognised:
1. Where the message carries its schema (`{"schema", "payload"}`), by the name of the column's type: dates are
   days, timestamps milli-, micro- or nanoseconds since 1970, decimals base64 with a scale, JSON is text.
2. Without a schema, text stands for itself. A number in the column of a birth date is a day since 1970, or
   refused where it could as well be a year; one in the column of `effective_at` is told by its size.
   A decimal in Debezium's default encoding cannot be told from text: `decimal.handling.mode=string` avoids it.
3. A value that PostgreSQL did not send, because it is stored apart and did not change, is a placeholder.

Invariant: pure; the same column value gives the same text under every handling mode that can be recognised.
A date that no calendar has from year 1 to 9999 (`infinity`) is absent. Messages name columns, never values.
Elsewhere: envelopes around rows (`streams.debezium`), mappings (`streams.mapping`).
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from typing import Final

import orjson

from identity.statement import format_instant
from streams.errors import EncodingUnclear, RowMalformed

__all__ = ["ColumnReader", "is_unavailable"]

_PLACEHOLDER: Final = "__debezium_unavailable_value"
_PLACEHOLDER_BASE64: Final = b64encode(_PLACEHOLDER.encode()).decode()
_PLACEHOLDER_NUMBERS: Final = list(_PLACEHOLDER.encode())

_EPOCH_ORDINAL: Final = date(1970, 1, 1).toordinal()
_LAST_ORDINAL: Final = date.max.toordinal()
_DAYS: Final = range(-1_000_000, 100_000)
"""Days since 1970, from before the year 1 to the year 2243: what lies outside is no birth date in days."""
_INFINITIES: Final = frozenset(
    {-2_147_472_692, -2_147_472_691, 9_223_372_036_825_200_000, -9_223_372_036_832_400_000}
)
"""What Debezium makes of PostgreSQL's infinite dates and timestamps."""
_YEARS: Final = range(1_000, 3_000)
"""A number that may be a year as well as a day since 1970 (some of 1972 to 1978)."""
_DATE_WITH_ZONE: Final = re.compile(r"[+-]?\d{4,}-\d\d-\d\dZ")
_MAGNITUDES: Final = ((10**8, None), (10**11, 10**6), (10**14, 10**3), (10**17, 1), (10**20, 0))
"""Below each bound: microseconds in one unit (0: a thousandth), from March 1973 on."""

Schema = Mapping[str, object]
Decode = Callable[[object, Schema], object]


class ColumnReader:
    """Reads the columns of a row that a mapping needs.

    Args:
        columns: those needed; all others are left alone.
        nested: of these the ones that a path leads into: JSON in text is opened.
        dates, instants: of these the ones that alone fill a birth date, or `effective_at`.
    """

    __slots__ = ("_columns", "_dates", "_instants", "_nested")

    def __init__(
        self,
        columns: frozenset[str],
        *,
        nested: frozenset[str] = frozenset(),
        dates: frozenset[str] = frozenset(),
        instants: frozenset[str] = frozenset(),
    ) -> None:
        self._columns = columns
        self._nested = nested
        self._dates = dates
        self._instants = instants

    def __call__(
        self, row: Mapping[str, object], schema: Schema | None
    ) -> tuple[dict[str, object], frozenset[str]]:
        """Return the needed columns that have a value, and the names of those whose value was not sent.

        Args:
            schema: the row's own, of type struct; None where the message carries none.
        Raises:
            EncodingUnclear: a number may be a day or a year.
            RowMalformed: a value is not of the type that its schema says.
        """
        read: dict[str, object] = {}
        unavailable: set[str] = set()
        types = None if schema is None else _types(schema)
        for column in self._columns & row.keys():
            value = row[column]
            if value is None:
                continue
            if is_unavailable(value):
                unavailable.add(column)
                continue
            value = (
                self._by_use(column, value)
                if types is None
                else self._by_type(column, value, types.get(column, {}))
            )
            if value is not None:
                read[column] = value
        return read, frozenset(unavailable)

    def _by_type(self, column: str, value: object, schema: Schema) -> object:
        decode = _DECODERS.get(str(schema.get("name")))
        if decode is not None:
            try:
                return decode(value, schema)
            except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as exc:
                raise RowMalformed(f"column {column} holds no {schema.get('name')}.") from exc
        if column in self._nested and isinstance(value, str):
            return _open_json(value)
        return value

    def _by_use(self, column: str, value: object) -> object:
        if isinstance(value, str):
            if column in self._nested:
                return _open_json(value)
            if (column in self._dates or column in self._instants) and _DATE_WITH_ZONE.fullmatch(value):
                return _iso_date(value)
            return value
        if isinstance(value, dict):
            if value.keys() == {"scale", "value"}:
                return self._by_type(column, value, {"name": "io.debezium.data.VariableScaleDecimal"})
            return value
        if isinstance(value, int) and not isinstance(value, bool):
            if column in self._dates:
                return _day_or_digits(column, value)
            if column in self._instants:
                return _instant_by_size(column, value)
        return value


def is_unavailable(value: object) -> bool:
    """Tell whether the value is Debezium's word for one that was not sent, in any type's form."""
    if isinstance(value, str):
        return value in (_PLACEHOLDER, _PLACEHOLDER_BASE64)
    if isinstance(value, list):
        return value in ([_PLACEHOLDER], _PLACEHOLDER_NUMBERS)
    return isinstance(value, dict) and value.keys() == {_PLACEHOLDER}


def _types(schema: Schema) -> dict[str, Schema]:
    fields = schema.get("fields")
    if not isinstance(fields, list):
        return {}
    return {str(one.get("field")): one for one in fields if isinstance(one, dict)}


def _day_or_digits(column: str, value: int) -> str | None:
    """Return the day that a number without a schema means; eight digits are a date written without hyphens."""
    if value in _INFINITIES:
        return None
    if value in _YEARS or (value not in _DAYS and not 10_000_101 <= value <= 29_991_231):
        raise EncodingUnclear(
            f"column {column} holds a number that may be a day since 1970, a year or a timestamp. Set the connector's "
            "time.precision.mode=isostring, or let its messages carry their schema."
        )
    return _day_text(value) if value in _DAYS else str(value)


def _instant_by_size(column: str, value: int) -> str | None:
    if value in _INFINITIES:
        return None
    for bound, unit_us in _MAGNITUDES:
        if abs(value) < bound:
            if unit_us is None:
                break
            return _instant_text(value * unit_us if unit_us else value // 1_000)
    raise EncodingUnclear(
        f"column {column} holds a number from which no time can be told. Set the connector's "
        "time.precision.mode=isostring, or let its messages carry their schema."
    )


def _day_text(days: int) -> str | None:
    ordinal = _EPOCH_ORDINAL + days
    return date.fromordinal(ordinal).isoformat() if 1 <= ordinal <= _LAST_ORDINAL else None


def _instant_text(instant: int) -> str | None:
    try:
        return format_instant(instant)
    except OverflowError:
        return None


def _iso_date(value: str) -> str | None:
    """Return a date without its zone; None for one before the year 1 or after 9999."""
    return value[:-1] if len(value) == 11 and value[0].isdigit() else None


def _open_json(value: str) -> object:
    if value[:1] not in ("{", "["):
        return value
    try:
        opened: object = orjson.loads(value)
    except orjson.JSONDecodeError:
        return value
    return opened


def _number(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError("a number was expected")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("a text was expected")
    return value


def _decimal(value: object, scale: int) -> object:
    """Return a decimal as text; one that the converter was told to write as a number stands for itself."""
    if isinstance(value, int | float):
        return value
    try:
        unscaled = int.from_bytes(b64decode(_text(value), validate=True), "big", signed=True)
    except NotBase64 as exc:
        raise ValueError("no base64") from exc
    sign, digits, _ = Decimal(unscaled).as_tuple()
    return f"{Decimal((sign, digits, -scale)):f}"


def _scaled_decimal(value: object, _: Schema) -> object:
    if not isinstance(value, dict):
        return _decimal(value, 0)
    return _decimal(value["value"], _number(value["scale"]))


def _fixed_decimal(value: object, schema: Schema) -> object:
    parameters = schema["parameters"]
    if not isinstance(parameters, dict):
        raise TypeError("parameters are an object")
    return _decimal(value, int(parameters["scale"]))


def _days(value: object, _: Schema) -> object:
    return _day_text(_number(value))


def _millis(value: object, _: Schema) -> object:
    return _instant_text(_number(value) * 1_000)


def _micros(value: object, _: Schema) -> object:
    return _instant_text(_number(value))


def _nanos(value: object, _: Schema) -> object:
    return _instant_text(_number(value) // 1_000)


_DECODERS: Final[dict[str, Decode]] = {
    "io.debezium.data.Json": lambda value, _: _open_json(_text(value)),
    "io.debezium.data.VariableScaleDecimal": _scaled_decimal,
    "io.debezium.time.Date": _days,
    "io.debezium.time.IsoDate": lambda value, _: _iso_date(_text(value)),
    "io.debezium.time.MicroTimestamp": _micros,
    "io.debezium.time.NanoTimestamp": _nanos,
    "io.debezium.time.Timestamp": _millis,
    "org.apache.kafka.connect.data.Date": _days,
    "org.apache.kafka.connect.data.Decimal": _fixed_decimal,
    "org.apache.kafka.connect.data.Timestamp": _millis,
}
