"""Fill in what a change did not carry from the version that is held.

PostgreSQL does not send a large value that did not change. The statement is still the whole statement of the
source: what is missing in it is what the source said before.

Invariant: pure; filling a statement from the version that it restates gives that version again.
Elsewhere: recognising such values (`streams.column_values`), reading the version held (the worker).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

__all__ = ["fill_unavailable"]


def fill_unavailable(
    attributes: Mapping[str, object], unavailable: Iterable[str], held: Mapping[str, object]
) -> dict[str, object]:
    """Return the attributes with the unavailable targets as they are held.

    Args:
        attributes: what the change carried.
        unavailable: targets of the mapping, such as `full_name`, `address.city`, `identifiers.tax_id`. A list
            that several columns fill keeps what is held of it beside what was carried, for no one can tell
            which of its values came from which column.
        held: the attributes of the current version, in canonical form.
    """
    filled = dict(attributes)
    for target in sorted(unavailable):
        name, _, part = target.partition(".")
        if name not in held:
            continue
        if name == "address" and part:
            filled[name] = _with_part(filled.get(name), part, held[name])
        else:
            scheme = part if name == "identifiers" else ""
            filled[name] = _join(filled.get(name), held[name], scheme)
    return {name: value for name, value in filled.items() if value not in (None, [])}


def _items(value: object) -> list[object]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


def _join(carried: object, held: object, scheme: str) -> object:
    """Return what is held (of that scheme, if one is named) and all that was carried: the order held, what is new last."""
    if not isinstance(held, list | tuple):
        return held
    new = _items(carried)
    kept = [one for one in held if not scheme or _scheme(one) == scheme or one in new]
    return kept + [one for one in new if one not in held]


def _scheme(identifier: object) -> object:
    return identifier.get("scheme") if isinstance(identifier, Mapping) else None


def _with_part(carried: object, part: str, held: object) -> object:
    """Return the addresses with one part (`city`, or `1.city` of the second) as it is held."""
    position, _, name = part.rpartition(".")
    index = int(position or 0)
    addresses = [dict(one) if isinstance(one, Mapping) else one for one in _items(carried)]
    there = _items(held)
    if index >= len(there) or not isinstance(source := there[index], Mapping) or name not in source:
        return addresses
    while len(addresses) <= index:
        addresses.append({})
    if isinstance(target := addresses[index], dict):
        target[name] = source[name]
    return addresses
