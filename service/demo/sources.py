"""The three made-up sources: their contracts, and a record in each source's own columns.

Invariant: reading a row by its contract's mapping gives back the attributes that the record states, in
every file format: a column `contact.mails.0` and the first item of `mails` in `contact` are one path.
Elsewhere: what records state (`service.demo.statements`), applying a mapping (`streams.mapping`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from service.demo.population import GeneratedRecord

__all__ = ["COLUMNS", "CONTRACTS", "nest_row", "to_row"]

_CRM_MAPPING: Final[dict[str, str | list[str]]] = {
    "given_name": "first_name",
    "middle_name": "middle_name",
    "family_name": "last_name",
    "name_suffix": "suffix",
    "full_name": "display_name",
    "other_names": ["former_name"],
    "sex": "gender",
    "birth_date": "born",
    "org_name": "company",
    "legal_form": "legal_form",
    "website": "web",
    "email": ["mail", "mail_2"],
    "phone": ["phone", "phone_2"],
    "address.line": "address_line",
    "address.house_number": "house_no",
    "address.street": "street",
    "address.unit": "unit",
    "address.city": "town",
    "address.region": "county",
    "address.postcode": "postcode",
    "address.country": "country",
    "identifiers.loyalty": "card_no",
    "preferred_language": "language",
    "effective_at": "changed_at",
}
_SHOP_MAPPING: Final[dict[str, str | list[str]]] = {
    "given_name": "name.first",
    "middle_name": "name.middle",
    "family_name": "name.last",
    "name_suffix": "name.suffix",
    "full_name": "name.full",
    "other_names": ["name.alias"],
    "birth_date": "birthday",
    "org_name": "business",
    "email": ["contact.mails.0", "contact.mails.1"],
    "phone": ["contact.phones.0", "contact.phones.1"],
    "address.line": "ship_to.line",
    "address.house_number": "ship_to.number",
    "address.street": "ship_to.street",
    "address.unit": "ship_to.flat",
    "address.city": "ship_to.city",
    "address.region": "ship_to.state",
    "address.postcode": "ship_to.zip",
    "address.country": "ship_to.country",
    "identifiers.loyalty": "card",
}
_BILLING_MAPPING: Final[dict[str, str | list[str]]] = {
    "kind": "party",
    "given_name": "vorname",
    "middle_name": "zweitname",
    "family_name": "nachname",
    "name_suffix": "zusatz",
    "full_name": "name",
    "other_names": ["geburtsname"],
    "birth_date": "geboren",
    "org_name": "firma",
    "email": ["mail", "mail_2"],
    "phone": ["telefon", "telefon_2"],
    "address.line": "anschrift",
    "address.house_number": "hausnummer",
    "address.street": "strasse",
    "address.unit": "wohnung",
    "address.city": "ort",
    "address.region": "region",
    "address.postcode": "plz",
    "address.country": "land",
    "identifiers.tax_id": "steuernummer",
    "identifiers.vat_id": "ust_id",
    "identifiers.iban": "iban",
    "effective_at": "stand",
}

CONTRACTS: Final[dict[str, dict[str, Any]]] = {
    "crm": {
        "domain": "sales",
        "kind": "crm",
        "owner": "sales operations",
        "key": "customer_no",
        "region": "GB",
        "mapping": _CRM_MAPPING,
    },
    "shop": {
        "domain": "commerce",
        "kind": "shop",
        "owner": "web team",
        "key": "account",
        "region": "GB",
        "mapping": _SHOP_MAPPING,
    },
    "billing": {
        "domain": "finance",
        "kind": "billing",
        "owner": "accounts receivable",
        "key": "debitor",
        "region": "GB",
        "mapping": _BILLING_MAPPING,
    },
}
"""Source to the contract document that is put for it."""


def _plan(source: str) -> tuple[tuple[str, str, str, int], ...]:
    """Return (column, attribute, part or scheme, position) for each column of the source."""
    plan: list[tuple[str, str, str, int]] = []
    for target, paths in CONTRACTS[source]["mapping"].items():
        attribute, _, part = target.partition(".")
        columns = [paths] if isinstance(paths, str) else paths
        plan += [(column, attribute, part, position) for position, column in enumerate(columns)]
    return tuple(plan)


_PLANS: Final = {source: _plan(source) for source in CONTRACTS}
COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    source: (contract["key"], *(column for column, _, _, _ in _PLANS[source]))
    for source, contract in CONTRACTS.items()
}
"""Source to the names of its columns, its key first; dots stand for nesting."""


def to_row(record: GeneratedRecord) -> dict[str, str | None]:
    """Return the record in its source's columns, all of them, in the order of `COLUMNS`."""
    source = record.source
    stated: dict[str, Any] = record.attributes
    addresses = stated.get("address")
    address: dict[str, str] = addresses[0] if addresses else {}
    identifiers = stated.get("identifiers")
    row: dict[str, str | None] = {COLUMNS[source][0]: record.source_key}
    for column, attribute, part, position in _PLANS[source]:
        if attribute == "address":
            row[column] = address.get(part)
        elif attribute == "identifiers":
            row[column] = None
            if identifiers:
                for identifier in identifiers:
                    if identifier["scheme"] == part:
                        row[column] = identifier["value"]
        elif attribute == "effective_at":
            row[column] = record.effective_at
        else:
            value = stated.get(attribute)
            if isinstance(value, list):
                row[column] = value[position] if position < len(value) else None
            else:
                row[column] = value
    return row


def nest_row(row: dict[str, str | None]) -> dict[str, Any]:
    """Return the row as the object it stands for: dots become objects, numbered ones lists, gaps go."""
    nested: dict[str, Any] = {}
    for column, value in row.items():
        if value is None:
            continue
        outer, _, inner = column.partition(".")
        if not inner:
            nested[outer] = value
            continue
        name, _, position = inner.partition(".")
        group = nested.setdefault(outer, {})
        if position:
            group.setdefault(name, []).append(value)
        else:
            group[name] = value
    return nested
