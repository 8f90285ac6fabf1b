"""Check the shape of stated attributes and bring them into the one form in which they are stored.

Invariant: the result holds attributes of the documented list only, in one shape each, sorted by name,
free of control characters, lone surrogates and empty values; equal content gives an equal result.
Cleaning twice changes nothing. Values otherwise stay as stated.
Elsewhere: what the values mean (`record` and the rooms it calls).
"""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Iterable, Mapping
from typing import Final

from matching.errors import AttributesInvalid

__all__ = ["ADDRESS_PARTS", "LIST_ATTRIBUTES", "TEXT_ATTRIBUTES", "clean_attributes"]

TEXT_ATTRIBUTES: Final = (
    "birth_date",
    "birth_place",
    "family_name",
    "full_name",
    "given_name",
    "kind",
    "legal_form",
    "middle_name",
    "name_suffix",
    "org_name",
    "preferred_language",
    "sex",
    "website",
)
LIST_ATTRIBUTES: Final = ("address", "email", "identifiers", "other_names", "phone")
ADDRESS_PARTS: Final = ("city", "country", "house_number", "line", "postcode", "region", "street", "unit")

# A number is a fair statement of these: files lose the text type of codes and years.
_NUMBERS_TOO: Final = frozenset({"birth_date", "name_suffix", "org_name", "sex", "phone", *ADDRESS_PARTS})

_ATTRIBUTES: Final = dict.fromkeys(TEXT_ATTRIBUTES, False) | dict.fromkeys(LIST_ATTRIBUTES, True)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")
_BREAK: Final = re.compile(r"\s*[\r\n\u2028\u2029]+\s*")
_LIST_ITEMS_MAX: Final = 100


def clean_attributes(attributes: Mapping[str, object]) -> dict[str, object]:
    """Return the canonical statement of the attributes, to be stored and compared.

    Lists are lists, `identifiers` a list of {scheme, value, issuer?}, `address` a list of dicts; numbers
    and dates are text; attributes that are unknown, None or empty are gone.

    Raises:
        AttributesInvalid: a value has the wrong type; the message names the attribute only.
    """
    cleaned: dict[str, object] = {}
    # Whoever states few attributes pays for few: sorting what is there is cheaper than asking for all.
    for name in sorted([name for name in attributes if name in _ATTRIBUTES]):
        value = attributes[name]
        if value is None:
            continue
        kept: object
        if not _ATTRIBUTES[name]:
            kept = _clean_text(value, name, name)
        elif name == "address":
            kept = _clean_addresses(value)
        elif name == "identifiers":
            kept = _clean_identifiers(value)
        else:
            kept = _clean_texts(value, name)
        if kept:
            cleaned[name] = kept
    return cleaned


def _clean_text(value: object, name: str, *path: object) -> str:
    """Return the text of a value, empty when it states nothing; `path` in pieces, for messages only."""
    if isinstance(value, str):
        return value.strip() if value.isprintable() else _clean_unprintable(value, name)
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, int | float | datetime.date):
        raise _no_text(path, f"{_kind_of(value)}. State it as a JSON string.")
    if isinstance(value, datetime.date):
        if name != "birth_date":
            raise _no_text(path, "a date. State it as a JSON string.")
        return value.isoformat()[:10]
    if name not in _NUMBERS_TOO:
        raise _no_text(path, "a number. State it as a JSON string.")
    return _spell_number(value, path)


def _no_text(path: Iterable[object], got: str) -> AttributesInvalid:
    return AttributesInvalid(f"{''.join(map(str, path))}: expected text, got {got}")


def _spell_number(value: float, path: Iterable[object]) -> str:
    if isinstance(value, float):
        if not math.isfinite(value):
            raise _no_text(path, "a number that is not finite.")
        if not value.is_integer():
            return repr(value)
        value = int(value)
    if not -(10**40) < value < 10**40:
        raise _no_text(path, "a number of more than 40 digits.")
    return str(value)


def _clean_unprintable(text: str, name: str) -> str:
    if name == "line":
        text = _BREAK.sub(", ", text.strip())
    return _SURROGATE.sub("\ufffd", _CONTROL.sub(" ", text)).strip()


def _clean_texts(value: object, name: str) -> list[str]:
    """Return a list of texts, each once, in the order stated; a single value makes a list of one."""
    if not isinstance(value, list | tuple):
        single = _clean_text(value, name, name)
        return [single] if single else []
    _check_length(value, name)
    texts = [_clean_text(item, name, name, "[", position, "]") for position, item in enumerate(value)]
    if len(texts) == 1:
        return texts if texts[0] else []
    return list(dict.fromkeys([text for text in texts if text]))


def _clean_addresses(value: object) -> list[dict[str, str]]:
    items = value if isinstance(value, list | tuple) else (value,)
    _check_length(items, "address")
    addresses: list[dict[str, str]] = []
    for position, item in enumerate(items):
        if item is None:
            continue
        if isinstance(item, dict | Mapping):  # asking the abstract class alone is dear
            parts = {
                name: text
                for name in ADDRESS_PARTS
                if name in item and (text := _clean_text(item[name], name, "address[", position, "].", name))
            }
        elif text := _clean_text(
            item, "line" if isinstance(item, str) else "address", "address[", position, "]"
        ):
            parts = {"line": text}
        else:
            continue
        if parts and (not addresses or parts not in addresses):
            addresses.append(parts)
    return addresses


def _clean_identifiers(value: object) -> list[dict[str, str]]:
    identifiers: list[dict[str, str]] = []
    for path, item in _iter_identifiers(value):
        scheme = _clean_text(item.get("scheme"), "scheme", path, ".scheme").lower()
        text = _clean_text(item.get("value"), "phone", path, ".value")
        issuer = _clean_text(item["issuer"], "issuer", path, ".issuer") if "issuer" in item else ""
        if not text:
            continue
        if not scheme:
            raise AttributesInvalid(f"{path}.scheme: missing. Each identifier is {{scheme, value, issuer?}}.")
        kept = (
            {"scheme": scheme, "value": text, "issuer": issuer}
            if issuer
            else {"scheme": scheme, "value": text}
        )
        if kept not in identifiers:
            identifiers.append(kept)
    return identifiers


def _iter_identifiers(value: object) -> Iterable[tuple[str, Mapping[str, object]]]:
    """Yield each identifier with its path, from a list, a single one or a `{scheme: value}` mapping."""
    if not isinstance(value, list | tuple) and isinstance(value, Mapping):
        if "value" in value or "scheme" in value:
            yield "identifiers[0]", value
            return
        for scheme in sorted(map(str, value)):
            stated = value.get(scheme)
            for single in stated if isinstance(stated, list | tuple) else (stated,):
                yield "identifiers", {"scheme": scheme, "value": single}
        return
    if not isinstance(value, list | tuple):
        raise AttributesInvalid(f"identifiers: expected a list, got {_kind_of(value)}.")
    _check_length(value, "identifiers")
    for position, item in enumerate(value):
        if item is None:
            continue
        if not isinstance(item, dict | Mapping):
            raise AttributesInvalid(f"identifiers[{position}]: expected an object, got {_kind_of(item)}.")
        yield f"identifiers[{position}]", item


def _check_length(items: list[object] | tuple[object, ...], name: str) -> None:
    if len(items) > _LIST_ITEMS_MAX:
        raise AttributesInvalid(f"{name}: {len(items)} values, at most {_LIST_ITEMS_MAX} are taken.")


def _kind_of(value: object) -> str:
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    return "a text" if isinstance(value, str) else "another type"
