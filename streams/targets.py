"""Fill the identity attributes of a statement from a raw row.

Invariant: a target is compiled once; what it reads and how several paths fill it stands in `streams.mapping`.
Elsewhere: finding a value by its path (`streams.paths`), keys and versions (`streams.mapping`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from streams.errors import MappingInvalid, RowMalformed
from streams.paths import Getter, compile_path, plain_text

__all__ = [
    "ADDRESS_PARTS",
    "LISTS",
    "SCHEMES",
    "SCHEME_TARGET",
    "TEXTS",
    "PathSpec",
    "Row",
    "compile_attributes",
    "compile_paths",
    "paths_of",
    "shape_of",
]

Row = dict[str, object]
"""One raw row: its values by the names of their columns."""

PathSpec = str | Sequence[str]
"""Where a value is found in a row: one path, or several."""

TEXTS: Final = (
    "kind",
    "given_name",
    "middle_name",
    "family_name",
    "name_suffix",
    "full_name",
    "birth_date",
    "birth_place",
    "sex",
    "org_name",
    "legal_form",
    "website",
    "preferred_language",
)
LISTS: Final = ("other_names", "email", "phone")
ADDRESS_PARTS: Final = ("line", "house_number", "street", "unit", "city", "postcode", "region", "country")
SCHEMES: Final = (
    "tax_id",
    "vat_id",
    "national_id",
    "passport",
    "driving_licence",
    "iban",
    "lei",
    "duns",
    "loyalty",
)
SCHEME_TARGET: Final = re.compile(r"identifiers\.(x-[a-z0-9_-]{1,60}|[a-z][a-z0-9_]{0,60})")
_ADDRESS_TARGET: Final = re.compile(r"address\.(?:([0-9]{1,2})\.)?([a-z_]+)")

Step = Callable[[Row, dict[str, object]], None]
"""Fills one attribute of the statement from the row."""


def compile_attributes(
    entries: Mapping[str, PathSpec], columns: frozenset[str]
) -> Callable[[Row], dict[str, object]]:
    """Return the function from a row to its attributes.

    Most targets are filled from plain columns that hold text: tables walked in one function do that several
    times as fast as a closure for each. All else, and a plain column that holds no text, has its step.

    Raises:
        MappingInvalid: a target is no identity attribute, or a path is empty.
    """
    texts: list[tuple[str, str, Step]] = []
    lists: list[tuple[str, tuple[str, ...], Step]] = []
    parts: list[tuple[str, str, Step]] = []
    schemes: list[tuple[str, str, Step]] = []
    steps: list[Step] = []
    for target, spec in entries.items():
        step = _compile_target(target, spec)
        paths = tuple(paths_of(spec))
        head, _, tail = target.partition(".")
        is_plain = all("." not in path or path in columns for path in paths)
        is_single = is_plain and len(paths) == 1
        if is_plain and target in LISTS:
            lists.append((target, paths, step))
        elif is_single and target in TEXTS:
            texts.append((target, paths[0], step))
        elif is_single and head == "address" and tail in ADDRESS_PARTS:
            parts.append((tail, paths[0], step))
        elif is_single and head == "identifiers" and tail:
            schemes.append((tail, paths[0], step))
        else:
            steps.append(step)

    def read(row: Row) -> dict[str, object]:
        stated: dict[str, object] = {}
        late = list(steps)
        _read_texts(row, texts, stated, late)
        _read_lists(row, lists, stated, late)
        address: dict[str, object] = {}
        _read_texts(row, parts, address, late)
        if address:
            stated["address"] = [address]
        if schemes:
            found: dict[str, object] = {}
            _read_texts(row, schemes, found, late)
            if found:
                stated["identifiers"] = [{"scheme": scheme, "value": text} for scheme, text in found.items()]
        for step in late:
            step(row, stated)
        return stated

    return read


def _read_texts(
    row: Row, table: list[tuple[str, str, Step]], into: dict[str, object], late: list[Step]
) -> None:
    get = row.get
    for name, column, step in table:
        value = get(column)
        if type(value) is str:
            if text := value.strip():
                into[name] = text
        elif value is not None:
            late.append(step)


def _read_lists(
    row: Row,
    table: list[tuple[str, tuple[str, ...], Step]],
    into: dict[str, object],
    late: list[Step],
) -> None:
    for name, columns, step in table:
        found: list[str] = []
        for column in columns:
            value = row.get(column)
            if type(value) is str:
                if text := value.strip():
                    found.append(text)
            elif value is not None:
                late.append(step)
                break
        else:
            if found:
                into[name] = found


def paths_of(spec: PathSpec) -> list[str]:
    """Return the paths as a list, also where there is one."""
    return [spec] if isinstance(spec, str) else list(spec)


def compile_paths(target: str, spec: PathSpec) -> tuple[Getter, ...]:
    """Return the getters of the target's paths; MappingInvalid when there is none or an empty one."""
    paths = paths_of(spec)
    if not paths or not all(paths):
        raise MappingInvalid(f"the path of {target} is empty: name a column, or a list of columns.")
    return tuple(compile_path(path) for path in paths)


def _compile_target(target: str, spec: PathSpec) -> Callable[[Row, dict[str, object]], None]:
    getters = compile_paths(target, spec)
    if target in TEXTS:
        return _text_step(target, getters)
    if target in LISTS:
        return _list_step(target, getters)
    if target in ("address", "identifiers"):
        return _whole_step(target, getters)
    if (address := _ADDRESS_TARGET.fullmatch(target)) and address[2] in ADDRESS_PARTS:
        return _address_step(int(address[1] or 0), address[2], getters)
    if scheme := SCHEME_TARGET.fullmatch(target):
        return _identifier_step(scheme[1], getters)
    raise MappingInvalid(
        f"{target!r} is no identity attribute. They are: {', '.join((*TEXTS, *LISTS))}, "
        "address.<part>, identifiers.<scheme>, effective_at, version."
    )


def _text_step(name: str, getters: tuple[Getter, ...]) -> Callable[[Row, dict[str, object]], None]:
    if len(getters) == 1:
        get = getters[0]

        def read_one(row: Row, stated: dict[str, object]) -> None:
            if text := _text(name, get(row)):
                stated[name] = text

        return read_one
    is_date = name == "birth_date"

    def read_several(row: Row, stated: dict[str, object]) -> None:
        texts = [text for get in getters if (text := _text(name, get(row)))]
        if texts and is_date:
            stated[name] = "-".join(text.zfill(2) for text in texts)
        elif texts:
            stated[name] = " ".join(texts)

    return read_several


def _list_step(name: str, getters: tuple[Getter, ...]) -> Callable[[Row, dict[str, object]], None]:
    def read(row: Row, stated: dict[str, object]) -> None:
        texts: list[str] = []
        for get in getters:
            value = get(row)
            if value is None:
                continue
            if type(value) is str:
                if stripped := value.strip():
                    texts.append(stripped)
            else:
                items = value if isinstance(value, list) else [value]
                texts += [text for item in items if (text := _text(name, item))]
        if texts:
            stated[name] = texts

    return read


def _address_step(
    position: int, part: str, getters: tuple[Getter, ...]
) -> Callable[[Row, dict[str, object]], None]:
    name = f"address.{part}"

    def put(stated: dict[str, object], index: int, text: str) -> None:
        addresses = stated.setdefault("address", [])
        assert isinstance(addresses, list)
        while len(addresses) <= index:
            addresses.append({})
        addresses[index][part] = text

    if len(getters) == 1:
        get = getters[0]

        def read_one(row: Row, stated: dict[str, object]) -> None:
            value = get(row)
            if value is None:
                return
            if isinstance(value, list):
                for offset, item in enumerate(value):
                    if text := _text(name, item):
                        put(stated, position + offset, text)
            else:
                text = value.strip() if type(value) is str else _text(name, value)
                if text:
                    put(stated, position, text)

        return read_one

    def read_several(row: Row, stated: dict[str, object]) -> None:
        if texts := [text for get in getters if (text := _text(name, get(row)))]:
            put(stated, position, " ".join(texts))

    return read_several


def _identifier_step(scheme: str, getters: tuple[Getter, ...]) -> Callable[[Row, dict[str, object]], None]:
    name = f"identifiers.{scheme}"

    def read(row: Row, stated: dict[str, object]) -> None:
        for get in getters:
            value = get(row)
            if value is None:
                continue
            for item in value if isinstance(value, list) else (value,):
                if found := _text(name, item):
                    identifiers = stated.setdefault("identifiers", [])
                    assert isinstance(identifiers, list)
                    identifiers.append({"scheme": scheme, "value": found})

    return read


def _whole_step(name: str, getters: tuple[Getter, ...]) -> Callable[[Row, dict[str, object]], None]:
    def read(row: Row, stated: dict[str, object]) -> None:
        found: list[object] = []
        for get in getters:
            value = get(row)
            for item in value if isinstance(value, list) else [value]:
                if isinstance(item, dict) and name == "identifiers" and "scheme" not in item:
                    found += [{"scheme": s, "value": v} for s, v in item.items() if v not in (None, "")]
                elif isinstance(item, dict):
                    if kept := {part: v for part, v in item.items() if v not in (None, "")}:
                        found.append(kept)
                elif name == "address" and (line := _text(name, item)):
                    found.append({"line": line})
                elif item not in (None, ""):
                    raise RowMalformed(f"{name} holds a {shape_of(item)} where an object is expected.")
        if found:
            earlier = stated.get(name)
            stated[name] = [*earlier, *found] if isinstance(earlier, list) else found

    return read


def _text(name: str, value: object) -> str | None:
    if isinstance(value, list | dict) and not value:
        return None
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, bool | list | dict):
        raise RowMalformed(f"{name} holds a {shape_of(value)} where text is expected.")
    return plain_text(value)


def shape_of(value: object) -> str:
    """Return what kind of value this is, in words, for a message that must not tell the value."""
    if isinstance(value, bool):
        return "truth value"
    return "list" if isinstance(value, list) else "object" if isinstance(value, dict) else "number or text"
