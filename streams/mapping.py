"""Turn a raw row into a statement: its key, its identity attributes, its version.

How a mapping is read:
1. Left of each entry stands a target: a text attribute (`given_name`), a list attribute (`email`), a
   part of an address (`address.city`, of the second one `address.1.city`), an identifier
   (`identifiers.tax_id`), a whole (`address`, `identifiers`: passed on as it stands), or one of
   `effective_at`, `version`, `same_as`, `withdrawn`.
2. Right of it stands a path or a list of paths. A path is the name of a column; where there is no
   column of that name, its dots lead into objects and lists (`contact.mail`, `phones.0.number`), and a
   list met without a number is followed in each of its items (`phones.number`).
3. Several paths fill a list attribute one after another; those of a text are joined by a space, those
   of a birth date by `-` (year, month, day).
4. Empty text, null and not-a-number are absent. Numbers become text, whole ones without a fraction.

Invariant: a mapping is compiled once and costs a few microseconds a row; the same row gives the same
statement, whatever format it came from (numbers and their texts make the same key).
Elsewhere: filling the attributes (`streams.targets`), reading rows (`streams.files`), what a statement
may hold (`identity.statement`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

import orjson

from matching.errors import SameasError
from streams.errors import ColumnMissing, KeyMissing, MappingInvalid, RowMalformed
from streams.paths import plain_text
from streams.targets import (
    ADDRESS_PARTS,
    LISTS,
    SCHEME_TARGET,
    SCHEMES,
    TEXTS,
    PathSpec,
    Row,
    compile_attributes,
    compile_paths,
    paths_of,
    shape_of,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from streams.paths import Getter

__all__ = [
    "MappedRow",
    "PathSpec",
    "Row",
    "RowMapping",
    "canonical_mapping",
    "compile_key",
    "compile_mapping",
    "map_rows",
    "parse_map_options",
]

CONTROLS: Final = ("effective_at", "version", "same_as", "withdrawn")

_CANONICAL_COLUMNS: Final[dict[str, str]] = {
    **{name: name for name in (*TEXTS, *LISTS, "address", "identifiers", *CONTROLS)},
    **{part: f"address.{part}" for part in ADDRESS_PARTS if part != "line"},
    **{f"address.{part}": f"address.{part}" for part in ADDRESS_PARTS},
    "address_line": "address.line",
    "state": "address.region",
    **{scheme: f"identifiers.{scheme}" for scheme in SCHEMES},
    **{f"identifiers.{scheme}": f"identifiers.{scheme}" for scheme in SCHEMES},
}
_WHOLE_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d")
_ZONE: Final = re.compile(r"(?:[Zz]|[+-]\d\d:?\d\d)$")


class MappedRow(NamedTuple):
    """What a row states; `attributes` is None when it withdraws its record."""

    key: str
    attributes: dict[str, object] | None
    effective_at: str | None
    version: int | None
    alternate_keys: dict[str, str]
    same_as: object

    def to_body(self) -> dict[str, object]:
        """Return the statement in the shape of one NDJSON line of the record route, without its key."""
        body: dict[str, object] = (
            {"withdrawn": True} if self.attributes is None else {"attributes": self.attributes}
        )
        for name in ("effective_at", "version", "alternate_keys", "same_as"):
            value = getattr(self, name)
            if value not in (None, {}):
                body[name] = value
        return body


class RowMapping:
    """A compiled mapping: call it with a row; made by `compile_mapping`."""

    __slots__ = ("_read", "required")

    def __init__(self, read: Callable[[Row], MappedRow], required: tuple[tuple[str, str], ...]) -> None:
        self._read = read
        self.required = required

    def __call__(self, row: Row) -> MappedRow:
        """Return what the row states.

        Raises:
            KeyMissing: the row has no key, or one that is not text or a number.
            RowMalformed: a value has a shape that its attribute cannot take.
        """
        return self._read(row)

    def check_columns(self, columns: Sequence[str], *, of_key_only: bool = False) -> None:
        """Raise unless the file has each column that the mapping reads.

        Args:
            columns: the names of the file's columns; of NDJSON those that its first rows show.
            of_key_only: check the key's columns only: rows that name their own fields may lack any other.

        Raises:
            ColumnMissing: names the missing columns and those that are there.
        """
        there = set(columns)
        missing = [
            f"{path} (for {target})"
            for target, path in self.required
            if path not in there
            and path.partition(".")[0] not in there
            and (target == "the key" or not of_key_only)
        ]
        if missing:
            raise ColumnMissing(
                f"the file has no column {', '.join(missing)}. It has: {', '.join(columns) or 'none'}. "
                "Name the right column by --key or --map, or correct the source contract's mapping."
            )


def parse_map_options(options: Iterable[str]) -> dict[str, PathSpec]:
    """Return the mapping that `--map attribute=column` options state; one given twice gets a list.

    Raises:
        MappingInvalid: an option without `=`, or without a name on one side of it.
    """
    mapping: dict[str, PathSpec] = {}
    for option in options:
        target, sign, path = (part.strip() for part in option.partition("="))
        if not (target and sign and path):
            raise MappingInvalid(f"--map takes attribute=column, e.g. --map email=mail; got {option!r}.")
        earlier = mapping.get(target)
        if earlier is None:
            mapping[target] = path
        else:
            mapping[target] = [*([earlier] if isinstance(earlier, str) else earlier), path]
    return mapping


def canonical_mapping(columns: Sequence[str] | None) -> dict[str, PathSpec]:
    """Return the mapping of columns that bear the names of identity attributes to themselves.

    Args:
        columns: the columns of a file; None when rows name their own fields, which maps every name.
    """
    names = _CANONICAL_COLUMNS if columns is None else columns
    mapping: dict[str, PathSpec] = {}
    for column in names:
        target = _CANONICAL_COLUMNS.get(column)
        if target is None and SCHEME_TARGET.fullmatch(column):
            target = column
        if target is None:
            continue
        earlier = mapping.get(target)
        paths = [] if earlier is None else [earlier] if isinstance(earlier, str) else earlier
        mapping[target] = [*paths, column] if paths else column
    if columns is None:
        # "address.city" names a column of its own in flat rows; in nested ones "address" is the whole.
        for target in [name for name in mapping if name.startswith(("address.", "identifiers."))]:
            mapping[target] = [p for p in paths_of(mapping[target]) if "." not in p]
    return mapping


def compile_mapping(
    key: PathSpec,
    mapping: Mapping[str, PathSpec] | None = None,
    *,
    alternate_keys: Mapping[str, PathSpec] | None = None,
    columns: Sequence[str] | None = None,
) -> RowMapping:
    """Compile a source contract's mapping into one function of a row.

    Args:
        key: the path of the key, or a list of paths: the key is then the JSON array of its parts.
        mapping: target to path or paths; None or empty maps the columns that bear the names of
            attributes, and rows that are statements (`{"attributes": {...}}`) are taken as they are.
        alternate_keys: name of an alternate key to its path or paths.
        columns: the file's columns where its format names them once for all rows.

    Raises:
        MappingInvalid: a target is no identity attribute, or a path is empty.
        ColumnMissing: nothing to map: no mapping, and no column bears the name of an attribute.
    """
    is_canonical = not mapping
    entries = canonical_mapping(columns) if not mapping else dict(mapping)
    if not any(target not in CONTROLS for target in entries):
        raise ColumnMissing(
            "no column bears the name of an identity attribute. "
            f"The file has: {', '.join(columns or ()) or 'none'}. "
            "Say which is which by --map attribute=column."
        )
    stated_of = compile_attributes(
        {target: spec for target, spec in entries.items() if target not in CONTROLS}, frozenset(columns or ())
    )
    read_key = compile_key(key)
    control = {name: _compile_single(name, entries[name]) for name in CONTROLS if name in entries}
    alternates = tuple((name, compile_key(path)) for name, path in (alternate_keys or {}).items())
    effective_at, version = control.get("effective_at"), control.get("version")
    same_as, withdrawn = control.get("same_as"), control.get("withdrawn")

    def read(row: Row) -> MappedRow:
        record_key = read_key(row)
        if record_key is None:
            raise KeyMissing("the row has no value in its key column; give it one.")
        nested = row.get("attributes") if is_canonical else None
        stated: dict[str, object] | None = nested if isinstance(nested, dict) else stated_of(row)
        if withdrawn is not None and _truth(withdrawn(row)):
            stated = None
        return MappedRow(
            record_key,
            stated,
            _instant_text(effective_at(row)) if effective_at is not None else None,
            _whole_number(version(row)) if version is not None else None,
            {name: text for name, find in alternates if (text := find(row)) is not None}
            if alternates
            else {},
            same_as(row) if same_as is not None else None,
        )

    required = [("the key", path) for path in paths_of(key)]
    if not is_canonical:
        required += [(target, path) for target, paths in entries.items() for path in paths_of(paths)]
    required += [
        (f"alternate key {name}", path) for name, p in (alternate_keys or {}).items() for path in paths_of(p)
    ]
    return RowMapping(read, tuple(required))


def compile_key(spec: PathSpec) -> Callable[[Row], str | None]:
    """Return the function from a row to its key, None where it has none.

    Args:
        spec: the path of the key, or a list of paths: the key is then the JSON array of its parts.
    Raises:
        MappingInvalid: a path is empty.
    """
    getters = compile_paths("the key", spec)
    if isinstance(spec, str):
        get = getters[0]

        def read_one(row: Row) -> str | None:
            value = get(row)
            return (value or None) if type(value) is str else _key_text(value)

        return read_one

    def read_parts(row: Row) -> str | None:
        # Parts are texts, so that a number read from Parquet and from CSV make the same key.
        parts = [_key_text(get(row)) for get in getters]
        return None if None in parts else orjson.dumps(parts).decode()

    return read_parts


def map_rows(
    rows: Iterable[tuple[int, Row | SameasError]], mapping: RowMapping
) -> Iterator[tuple[int, MappedRow | SameasError]]:
    """Map each row, in order; a row that was or is refused comes out as its error."""
    for number, row in rows:
        if isinstance(row, SameasError):
            yield number, row
            continue
        try:
            mapped = mapping(row)
        except (KeyMissing, RowMalformed) as refused:
            yield number, refused
        else:
            yield number, mapped


def _compile_single(target: str, spec: PathSpec) -> Getter:
    getters = compile_paths(target, spec)
    if len(getters) != 1:
        raise MappingInvalid(f"{target} is read from one path, not from several.")
    return getters[0]


def _key_text(value: object) -> str | None:
    """Return a key (part) as text, exactly as stated: unlike an attribute it is not stripped."""
    if isinstance(value, str):
        return value or None
    if isinstance(value, bool | list | dict):
        raise KeyMissing(f"the key is a {shape_of(value)}; a key is text or a number.")
    return plain_text(value)


def _truth(value: object) -> bool:
    if isinstance(value, str):
        return value.strip().lower() in ("true", "t", "yes", "y", "1")
    return value is True or value == 1


def _whole_number(value: object) -> int | None:
    text = plain_text(value)
    if not text:
        return None
    try:
        return int(text)
    except ValueError:
        raise RowMalformed("version is not a whole number.") from None


def _instant_text(value: object) -> str | None:
    """Return an instant as RFC 3339; a whole day is its midnight, one without a zone is UTC."""
    text = plain_text(value)
    if not text:
        return None
    if text[-1] == "Z" and text[10:11] == "T":
        return text
    if _WHOLE_DAY.fullmatch(text):
        return f"{text}T00:00:00Z"
    text = text.replace(" ", "T", 1)
    return text if _ZONE.search(text) else f"{text}Z"
