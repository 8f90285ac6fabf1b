"""What a raw row states once it is mapped."""

from __future__ import annotations

import pytest

from matching.errors import SameasError
from streams.errors import ColumnMissing, KeyMissing, MappingInvalid, RowMalformed
from streams.mapping import canonical_mapping, compile_mapping, map_rows, parse_map_options


def test_columns_with_the_names_of_attributes_map_to_themselves() -> None:
    columns = ("id", "given_name", "email", "address_line", "city", "tax_id", "x_colour")
    read = compile_mapping("id", columns=columns)

    mapped = read(
        {
            "id": "7",
            "given_name": " Ada ",
            "email": "ada@example.org",
            "address_line": "1 Mill Lane",
            "city": "Derby",
            "tax_id": "12-3",
            "x_colour": "red",
        }
    )

    assert mapped.key == "7"
    assert mapped.attributes == {
        "given_name": "Ada",
        "email": ["ada@example.org"],
        "address": [{"line": "1 Mill Lane", "city": "Derby"}],
        "identifiers": [{"scheme": "tax_id", "value": "12-3"}],
    }


def test_dotted_paths_lead_into_objects_and_lists() -> None:
    read = compile_mapping(
        "meta.id",
        {
            "email": "contact.mail",
            "phone": "phones.number",
            "other_names": "aliases.0",
            "address.city": "town",
            "address.postcode": "zip",
        },
    )

    mapped = read(
        {
            "meta": {"id": 12},
            "contact": {"mail": ["a@x.org", "b@x.org"]},
            "phones": [{"number": "1"}, {"kind": "fax"}, {"number": 2}],
            "aliases": ["Ada King"],
            "town": "Köln",
            "zip": 50667,
        }
    )

    assert mapped.key == "12"
    assert mapped.attributes == {
        "email": ["a@x.org", "b@x.org"],
        "phone": ["1", "2"],
        "other_names": ["Ada King"],
        "address": [{"city": "Köln", "postcode": "50667"}],
    }


def test_a_column_whose_name_holds_a_dot_comes_before_a_path() -> None:
    read = compile_mapping("id", {"email": "contact.mail"})

    mapped = read({"id": "1", "contact.mail": "flat@x.org", "contact": {"mail": "nested@x.org"}})

    assert mapped.attributes == {"email": ["flat@x.org"]}


@pytest.mark.parametrize(
    ("target", "paths", "expected"),
    [
        ("email", ["a", "b", "c"], ["1", "2"]),
        ("full_name", ["a", "b", "c"], "1 2"),
        ("birth_date", ["year", "b", "a"], "1980-02-01"),
        ("address.line", ["a", "b"], [{"line": "1 2"}]),
        ("identifiers.loyalty", ["a", "b"], [{"scheme": "loyalty", "value": v} for v in ("1", "2")]),
    ],
)
def test_several_paths_fill_a_list_or_are_joined_to_one_text(
    target: str, paths: list[str], expected: object
) -> None:
    read = compile_mapping("id", {target: paths})

    mapped = read({"id": "k", "a": "1", "b": 2, "c": " ", "year": 1980.0})

    assert mapped.attributes == {target.partition(".")[0]: expected}


def test_a_second_address_has_its_number_in_the_target() -> None:
    read = compile_mapping("id", {"address.city": "home", "address.1.city": "work"})

    mapped = read({"id": "1", "home": "Bonn", "work": "Köln"})

    assert mapped.attributes == {"address": [{"city": "Bonn"}, {"city": "Köln"}]}


def test_parts_of_a_list_of_addresses_stay_beside_each_other() -> None:
    read = compile_mapping("id", {"address.city": "places.town", "address.country": "places.land"})

    mapped = read({"id": "1", "places": [{"town": "Bonn"}, {"town": "Graz", "land": "AT"}]})

    assert mapped.attributes == {"address": [{"city": "Bonn"}, {"city": "Graz", "country": "AT"}]}


def test_whole_addresses_and_identifiers_are_passed_on() -> None:
    read = compile_mapping("id")

    mapped = read(
        {
            "id": "1",
            "address": {"line": "1 Mill Lane", "city": None},
            "identifiers": {"tax_id": "9", "iban": ""},
        }
    )

    assert mapped.attributes == {
        "address": [{"line": "1 Mill Lane"}],
        "identifiers": [{"scheme": "tax_id", "value": "9"}],
    }


def test_a_row_that_is_a_statement_is_taken_as_it_is() -> None:
    read = compile_mapping("key")

    stated = read({"key": "1", "attributes": {"full_name": "Ada"}, "version": 3, "same_as": {"cid": "x"}})
    withdrawn = read({"key": "2", "withdrawn": True})

    assert stated.to_body() == {
        "attributes": {"full_name": "Ada"},
        "version": 3,
        "same_as": {"cid": "x"},
    }
    assert withdrawn.attributes is None
    assert withdrawn.to_body() == {"withdrawn": True}


def test_a_composite_key_is_the_json_array_of_its_parts_as_texts() -> None:
    read = compile_mapping(["company", "account"], {"full_name": "name"})

    assert read({"company": 10, "account": "Ä-7"}).key == '["10","Ä-7"]'
    assert read({"company": "10", "account": "Ä-7"}).key == '["10","Ä-7"]'


@pytest.mark.parametrize("value", [None, "", float("nan"), True, [1], {"a": 1}])
def test_a_row_without_a_usable_key_is_refused(value: object) -> None:
    one = compile_mapping("id", {"full_name": "name"})
    both = compile_mapping(["name", "id"], {"full_name": "name"})

    with pytest.raises(KeyMissing):
        one({"id": value, "name": "Ada"})
    with pytest.raises(KeyMissing):
        both({"id": value, "name": "Ada"})


def test_a_text_key_is_kept_exactly_as_stated() -> None:
    assert compile_mapping("id", {"full_name": "n"})({"id": " 007 ", "n": "Bond"}).key == " 007 "


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ("2024-02-03", "2024-02-03T00:00:00Z"),
        ("2024-02-03 04:05:06", "2024-02-03T04:05:06Z"),
        ("2024-02-03T04:05:06+02:00", "2024-02-03T04:05:06+02:00"),
        ("", None),
        (None, None),
    ],
)
def test_an_instant_without_a_zone_is_utc(stated: object, expected: str | None) -> None:
    read = compile_mapping("id", {"full_name": "n", "effective_at": "since", "version": "v"})

    mapped = read({"id": "1", "n": "Ada", "since": stated, "v": "4"})

    assert (mapped.effective_at, mapped.version) == (expected, 4)


def test_alternate_keys_are_read_where_they_are_stated() -> None:
    read = compile_mapping("id", {"full_name": "n"}, alternate_keys={"erp": "erp_no", "pair": ["a", "b"]})

    assert read({"id": 1, "n": "x", "erp_no": 5}).alternate_keys == {"erp": "5"}
    assert read({"id": 1, "n": "x", "a": "p", "b": "q"}).alternate_keys == {"pair": '["p","q"]'}


def test_a_value_of_the_wrong_shape_refuses_its_row_without_telling_the_value() -> None:
    read = compile_mapping("id", {"full_name": "name", "version": "v"})
    rows: list[tuple[int, dict[str, object] | SameasError]] = [
        (1, {"id": "1", "name": {"secret": "canary"}}),
        (2, {"id": "2", "name": "Ada", "v": "canary"}),
        (3, {"id": "3", "name": "Ada"}),
    ]

    answers = dict(map_rows(rows, read))

    assert isinstance(answers[1], RowMalformed)
    assert isinstance(answers[2], RowMalformed)
    assert "canary" not in f"{answers[1]}{answers[2]}"
    assert answers[3] == read({"id": "3", "name": "Ada"})


def test_a_missing_column_is_named_before_anything_is_read() -> None:
    read = compile_mapping("customer_no", {"email": "mail", "phone": "contact.phone"})

    with pytest.raises(ColumnMissing, match=r"customer_no \(for the key\), mail \(for email\)"):
        read.check_columns(["id", "contact"])
    read.check_columns(["customer_no"], of_key_only=True)


def test_a_file_without_any_identity_attribute_is_refused() -> None:
    with pytest.raises(ColumnMissing, match="--map"):
        compile_mapping("id", columns=["id", "colour", "version"])


@pytest.mark.parametrize("target", ["colour", "address.colour", "address", "identifiers."])
def test_a_mapping_to_no_identity_attribute_is_refused(target: str) -> None:
    path: object = "" if target == "address" else "column"

    with pytest.raises(MappingInvalid):
        compile_mapping("id", {target: path})  # type: ignore[dict-item]


def test_map_options_given_twice_make_a_list() -> None:
    options = ["email=mail", "email=mail_2", "family_name=last = name"]

    assert parse_map_options(options) == {"email": ["mail", "mail_2"], "family_name": "last = name"}
    with pytest.raises(MappingInvalid):
        parse_map_options(["email"])


def test_the_mapping_of_known_columns_can_be_extended_by_hand() -> None:
    mapping = {**canonical_mapping(["id", "given_name", "mail"]), **parse_map_options(["email=mail"])}

    assert mapping == {"given_name": "given_name", "email": "mail"}
