"""Source contracts: what a document may say, what a key must be, what a change of contract means."""

from __future__ import annotations

import pytest

from identity.contract import (
    KEY_CODE_POINTS_MAX,
    SourceContract,
    changes_matching,
    check_key,
    check_source_name,
    is_breaking,
    read_contract,
)
from identity.errors import ContractRefused, KeyRefused


def contract(**fields: object) -> SourceContract:
    return read_contract("crm", {"domain": "sales", **fields}, version=1)


def test_only_the_domain_is_required() -> None:
    read = contract()

    assert (read.name, read.version, read.domain) == ("crm", 1, "sales")
    assert (read.key_path, read.mapping, read.region, read.approach) == (None, {}, None, None)
    assert not read.key_personal
    assert not read.one_per_customer
    assert not read.same_as_is_judgement


def test_a_contract_says_all_that_its_document_says() -> None:
    document: dict[str, object] = {
        "domain": "sales",
        "kind": "crm",
        "owner": "team-a",
        "key": ["region", "number"],
        "alternate_keys": {"old": "old_number"},
        "key_pattern": "[0-9]+",
        "key_personal": True,
        "mapping": {"email": "contact.mail", "address.city": ["town", "city"]},
        "region": "de",
        "approach": 3,
        "one_per_customer": True,
        "trust": {"email": 0.5, "same_as": True},
    }

    read = read_contract("crm", document, version=4)

    assert read.document == document
    assert read.key_path == ("region", "number")
    assert read.alternate_paths == {"old": "old_number"}
    assert read.mapping == {"email": "contact.mail", "address.city": ("town", "city")}
    assert (read.region, read.approach, read.kind, read.owner) == ("DE", 3, "crm", "team-a")
    assert read.key_pattern is not None
    assert read.key_pattern.pattern == "[0-9]+"
    assert read.trust == {"email": 0.5, "same_as": 1.0}
    assert read.key_personal
    assert read.one_per_customer


def test_a_field_that_is_not_known_is_refused_by_its_name() -> None:
    with pytest.raises(ContractRefused, match="keypattern"):
        contract(keypattern="[0-9]+")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("domain", "Sales"),
        ("domain", None),
        ("kind", 1),
        ("owner", ["a"]),
        ("key", ""),
        ("key", []),
        ("key", ["a", 1]),
        ("key", 7),
        ("alternate_keys", ["old"]),
        ("alternate_keys", {"": "old"}),
        ("alternate_keys", {"old": None}),
        ("key_pattern", "["),
        ("key_pattern", "a" * 1001),
        ("key_pattern", 1),
        ("key_personal", "yes"),
        ("one_per_customer", 1),
        ("mapping", "email"),
        ("mapping", {"email": 3}),
        ("region", "Germany"),
        ("region", 49),
        ("approach", 0),
        ("approach", 5),
        ("approach", True),
        ("approach", "3"),
        ("trust", 1),
        ("trust", {"email": 1.01}),
        ("trust", {"email": -0.1}),
        ("trust", {"email": "much"}),
    ],
)
def test_a_field_of_a_wrong_shape_is_refused_by_its_name(field: str, value: object) -> None:
    with pytest.raises(ContractRefused, match=field):
        contract(**{field: value})


@pytest.mark.parametrize("name", ["a", "0", "crm-2_x", "a" * 63])
def test_a_legal_name_of_a_source_is_taken(name: str) -> None:
    check_source_name(name)


@pytest.mark.parametrize("name", ["", "CRM", "-crm", "_crm", "a" * 64, "crm\n", "crm/x", "c r m", "ümlaut"])
def test_an_illegal_name_of_a_source_is_refused(name: str) -> None:
    with pytest.raises(ContractRefused):
        check_source_name(name)


@pytest.mark.parametrize(
    "key", ["1", " ", "a/b%2F?#", "ключ", "\U0001f600" * KEY_CODE_POINTS_MAX, "a\u2028b"]
)
def test_a_key_may_be_any_text_of_up_to_512_code_points(key: str) -> None:
    assert check_key(contract(), key) == key


@pytest.mark.parametrize(
    "key", ["", "x" * 513, "a\x00b", "a\nb", "a\x7f", "a\x85", "a\ud800", 17, 1.5, None, b"1", ["1"]]
)
def test_a_key_that_is_no_such_text_is_refused(key: object) -> None:
    with pytest.raises(KeyRefused):
        check_key(contract(), key)


def test_a_key_must_fit_the_key_pattern_as_a_whole() -> None:
    numbered = contract(key_pattern="[0-9]+")

    assert check_key(numbered, "17") == "17"
    with pytest.raises(KeyRefused, match="key_pattern"):
        check_key(numbered, "17a")


def test_a_refusal_never_repeats_the_key() -> None:
    with pytest.raises(KeyRefused) as refused:
        check_key(contract(key_pattern="[0-9]+"), "ann.smith@web.de")

    assert "ann" not in str(refused.value)


@pytest.mark.parametrize("level", [True, 1, 1.0])
def test_a_source_trusted_in_full_for_same_as_judges_by_it(level: object) -> None:
    assert contract(trust={"same_as": level}).same_as_is_judgement


@pytest.mark.parametrize("level", [False, 0, 0.99])
def test_a_source_trusted_less_states_evidence_only(level: object) -> None:
    assert not contract(trust={"same_as": level}).same_as_is_judgement


@pytest.mark.parametrize(
    "change", [{"region": "US"}, {"one_per_customer": True}, {"trust": {"same_as": True}}]
)
def test_region_one_per_customer_and_trust_in_same_as_change_the_partition(change: dict[str, object]) -> None:
    assert changes_matching(contract(), contract(**change))


@pytest.mark.parametrize(
    "change",
    [{"owner": "b"}, {"approach": 4}, {"mapping": {"email": "mail"}}, {"trust": {"email": 1}}, {"key": "id"}],
)
def test_other_fields_leave_the_partition_as_it_is(change: dict[str, object]) -> None:
    assert not changes_matching(contract(), contract(**change))


def test_another_key_path_breaks_the_keys_already_stored() -> None:
    assert is_breaking(contract(key="id"), contract(key="number")) == "key"
    assert is_breaking(contract(key="id"), contract()) == "key"


def test_a_key_path_where_there_was_none_breaks_nothing() -> None:
    assert is_breaking(contract(), contract(key="id")) is None


def test_a_new_key_pattern_breaks_the_keys_already_stored_and_its_absence_does_not() -> None:
    numbered = contract(key_pattern="[0-9]+")

    assert is_breaking(contract(), numbered) == "key_pattern"
    assert is_breaking(numbered, contract(key_pattern="[a-z]+")) == "key_pattern"
    assert is_breaking(numbered, contract(key_pattern="[0-9]+")) is None
    assert is_breaking(numbered, contract()) is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epoch", -1),
        ("epoch", True),
        ("epoch", 1.5),
        ("cid_field", ""),
        ("cid_field", ["a", "b"]),
        ("cid_within_s", -1),
        ("cid_within_s", "60"),
        ("coverage_min", 1.01),
        ("coverage_min", True),
    ],
)
def test_what_deliveries_are_measured_by_is_refused_where_it_means_nothing(field: str, value: object) -> None:
    with pytest.raises(ContractRefused, match=field):
        read_contract("crm", {"domain": "sales", field: value}, version=1)


def test_a_contract_that_says_nothing_of_deliveries_promises_nothing() -> None:
    contract = read_contract("crm", {"domain": "sales"}, version=1)

    assert (contract.epoch, contract.cid_field, contract.cid_within_s, contract.coverage_min) == (
        0,
        None,
        None,
        None,
    )


@pytest.mark.parametrize("way", ["topic", "webhook", "write-back", "none", None])
def test_a_contract_says_how_the_cid_goes_back(way: str | None) -> None:
    assert contract(write_back=way).write_back == way


@pytest.mark.parametrize("way", ["", "kafka", "write_back", 1, {"url": "x"}])
def test_another_way_back_is_refused(way: object) -> None:
    with pytest.raises(ContractRefused, match="write_back"):
        contract(write_back=way)
