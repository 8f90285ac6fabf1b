"""The made-up population as a whole."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections import Counter, defaultdict
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
import pytest

from service.demo.layout import GROUP_RECORDS, Role, slot_of
from service.demo.population import SOURCES, GeneratedRecord, generate_population
from streams.targets import ADDRESS_PARTS, LISTS, TEXTS

ROOT = Path(__file__).parents[3]
GROUPS = 40
DIGEST = """
import hashlib, orjson
from service.demo.population import generate_population
records = map(tuple, generate_population(seed=5, record_count=300))
print(hashlib.sha256(b"".join(map(orjson.dumps, records))).hexdigest())
"""


@pytest.fixture(scope="module")
def population() -> list[GeneratedRecord]:
    return list(generate_population(seed=1, record_count=GROUPS * GROUP_RECORDS))


@pytest.fixture(scope="module")
def by_customer(population: list[GeneratedRecord]) -> dict[str, list[GeneratedRecord]]:
    customers: dict[str, list[GeneratedRecord]] = defaultdict(list)
    for record in population:
        customers[record.entity_id].append(record)
    return customers


def share(records: list[GeneratedRecord], holds: Any) -> float:
    return sum(bool(holds(record)) for record in records) / len(records)


def values(records: list[GeneratedRecord], name: str) -> list[Any]:
    found: list[Any] = []
    for record in records:
        value = record.attributes.get(name)
        found += value if isinstance(value, list) else [] if value is None else [value]
    return found


def family_name_shares(records: list[GeneratedRecord]) -> Counter[str]:
    names = values(records, "family_name")
    return Counter({name: round(10_000 * count / len(names)) for name, count in Counter(names).items()})


@pytest.mark.slow
def test_the_same_seed_gives_the_same_records_in_any_process() -> None:
    records = map(tuple, generate_population(seed=5, record_count=300))
    here = hashlib.sha256(b"".join(map(orjson.dumps, records))).hexdigest()

    for hash_seed in ("1", "2"):
        there = subprocess.run(
            [sys.executable, "-c", DIGEST],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert there.stdout.strip() == here


def test_another_seed_is_another_population() -> None:
    one, other = (list(generate_population(seed=seed, record_count=50)) for seed in (1, 2))

    assert [record.attributes for record in one] != [record.attributes for record in other]


def test_records_come_while_they_are_asked_for_however_many_there_are() -> None:
    first = list(islice(generate_population(seed=1, record_count=100_000_000), 10))

    assert len(first) == 10


def test_a_key_names_one_record_and_the_truth_names_each_record_once(
    population: list[GeneratedRecord], by_customer: dict[str, list[GeneratedRecord]]
) -> None:
    keys = {(record.source, record.source_key) for record in population}

    assert len(keys) == len(population) == GROUPS * GROUP_RECORDS
    assert len(by_customer) == GROUPS * 100
    assert {record.source for record in population} == set(SOURCES)


def test_a_quarter_of_the_records_repeat_a_customer_and_some_within_one_source(
    population: list[GeneratedRecord], by_customer: dict[str, list[GeneratedRecord]]
) -> None:
    within = sum(
        max(Counter(record.source for record in records).values()) > 1 for records in by_customer.values()
    )

    assert 0.2 < 1 - len(by_customer) / len(population) < 0.3
    assert 0.01 < within / len(by_customer) < 0.06


def test_a_larger_population_holds_the_customers_of_a_smaller_one_and_as_frequent_names(
    population: list[GeneratedRecord],
) -> None:
    small = list(generate_population(seed=1, record_count=GROUPS // 4 * GROUP_RECORDS))
    many, few = family_name_shares(population), family_name_shares(small)

    assert {record.entity_id for record in small} < {record.entity_id for record in population}
    for name in ("Smith", "Jones", "Williams", "Taylor"):
        assert 30 < many[name] < 250
        assert abs(many[name] - few[name]) < 90


def test_attributes_are_canonical_and_none_is_empty(population: list[GeneratedRecord]) -> None:
    allowed = {*TEXTS, *LISTS, "address", "identifiers"}

    for record in population:
        assert record.attributes.keys() <= allowed
        assert all(record.attributes.values())
    for address in values(population, "address"):
        assert address.keys() <= set(ADDRESS_PARTS)


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [("birth_date", 0.4, 0.7), ("email", 0.7, 0.9), ("phone", 0.5, 0.75), ("address", 0.85, 0.97)],
)
def test_every_attribute_is_missing_somewhere(
    population: list[GeneratedRecord], name: str, low: float, high: float
) -> None:
    assert low < share(population, lambda record: name in record.attributes) < high


def test_junk_stands_for_some_values(population: list[GeneratedRecord]) -> None:
    emails, phones, births = (values(population, name) for name in ("email", "phone", "birth_date"))

    assert 0.002 < sum("noreply@" in email or "none" in email for email in emails) / len(emails) < 0.02
    assert 0.002 < sum(set(phone) <= {"0", "9"} for phone in phones) / len(phones) < 0.02
    assert 0.002 < births.count("1900-01-01") / len(births) < 0.02


def test_some_names_are_in_another_script_and_some_are_transliterated(
    population: list[GeneratedRecord],
) -> None:
    names = [*values(population, "family_name"), *values(population, "full_name")]

    assert 0.02 < sum(any(letter > "ʯ" for letter in name) for name in names) / len(names) < 0.1
    assert "Ivanov" in names


def test_some_records_hold_two_e_mail_addresses_or_telephones(population: list[GeneratedRecord]) -> None:
    assert share(population, lambda record: len(record.attributes.get("email", ())) > 1) > 0.02
    assert share(population, lambda record: len(record.attributes.get("phone", ())) > 1) > 0.05


def test_a_share_has_identifiers_of_every_scheme(population: list[GeneratedRecord]) -> None:
    schemes = Counter(identifier["scheme"] for identifier in values(population, "identifiers"))

    assert set(schemes) == {"tax_id", "vat_id", "iban", "loyalty"}
    assert share(population, lambda record: "identifiers" in record.attributes) > 0.25


def test_records_of_a_customer_spell_its_name_in_different_ways(
    by_customer: dict[str, list[GeneratedRecord]],
) -> None:
    several = [
        {record.attributes.get("given_name") for record in records} - {None}
        for name, records in by_customer.items()
        if name.startswith("person-")
    ]
    told_twice = [names for names in several if names]

    assert sum(len(names) > 1 for names in told_twice) > 50


def test_persons_of_one_household_share_a_telephone(by_customer: dict[str, list[GeneratedRecord]]) -> None:
    holders: dict[str, set[str]] = defaultdict(set)
    for name, records in by_customer.items():
        for phone in values(records, "phone"):
            digits = "".join(filter(str.isdigit, phone))[-9:]
            if len(digits) == 9 and len(set(digits)) > 3 and digits != "123456789":
                holders[digits].add(name)
    shared = [names for names in holders.values() if len(names) > 1]

    assert len(shared) > 50
    for names in shared:
        households = {slot_of(int(name.partition("-")[2])).household for name in names}
        assert len(households) == 1


def test_seniors_and_juniors_are_there_with_and_without_their_suffix(
    population: list[GeneratedRecord],
) -> None:
    juniors = [
        record
        for record in population
        if record.entity_id.startswith("person-")
        and slot_of(int(record.entity_id.partition("-")[2])).role is Role.JUNIOR
    ]

    told = share(
        juniors,
        lambda record: (
            record.attributes.get("name_suffix") == "Jr"
            or str(record.attributes.get("full_name", "")).endswith("Jr")
        ),
    )
    assert 0.2 < told < 0.8


def test_instants_lie_in_the_past_of_the_first_release(population: list[GeneratedRecord]) -> None:
    instants = [record.effective_at for record in population if record.effective_at is not None]

    assert len(instants) > len(population) / 3
    assert max(instants) < "2026-01-01"
