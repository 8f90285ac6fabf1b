"""Birth dates come back in one notation; what is no date, or a filler, is told and left out."""

from __future__ import annotations

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matching.standardise.dates import read_birth_date


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("1980-05-17", "1980-05-17"),
        ("19800517", "1980-05-17"),
        ("17051980", "1980-05-17"),
        ("17.05.1980", "1980-05-17"),
        ("17.5.1980.", "1980-05-17"),
        ("5/17/1980", "1980-05-17"),
        ("17/05/1980", "1980-05-17"),
        ("5.5.1980", "1980-05-05"),
        ("1980/5/7", "1980-05-07"),
        ("17 May 1980", "1980-05-17"),
        ("May 17th, 1980", "1980-05-17"),
        ("17. März 1980", "1980-03-17"),
        ("17 de mayo de 1980", "1980-05-17"),
        ("1980-05-17T00:00:00Z", "1980-05-17"),
        ("1980-05-17 00:00:00.000", "1980-05-17"),
        ("1980", "1980"),
        ("1980-05", "1980-05"),
        ("May 1980", "1980-05"),
        ("1980-00-00", "1980"),
        ("1980-05-00", "1980-05"),
        ("1984-02-29", "1984-02-29"),
        ("１９８０-05-17", "1980-05-17"),
    ],
)
def test_a_date_in_any_common_notation_is_read(text: str, date: str) -> None:
    assert read_birth_date(text, region="GB") == (date, None)


def test_an_ambiguous_date_is_read_as_the_region_writes_it_and_told() -> None:
    assert read_birth_date("03/04/1980", region="US") == ("1980-03-04", "ambiguous_date")
    assert read_birth_date("03/04/1980", region="GB") == ("1980-04-03", "ambiguous_date")
    assert read_birth_date("03/04/1980", region=None) == ("1980-04-03", "ambiguous_date")


def test_a_date_with_dots_has_its_day_first_everywhere() -> None:
    assert read_birth_date("03.04.1980", region="US")[0] == "1980-04-03"


def test_a_day_in_the_place_of_the_month_is_put_right_and_told() -> None:
    assert read_birth_date("1991-20-08", region=None) == ("1991-08-20", "ambiguous_date")


def test_a_two_digit_year_is_placed_by_a_fixed_window_and_told() -> None:
    assert read_birth_date("17-May-90", region=None) == ("1990-05-17", "ambiguous_date")
    assert read_birth_date("17/05/12", region=None) == ("2012-05-17", "ambiguous_date")


@pytest.mark.parametrize(
    "text",
    [
        "1980-02-30",
        "1981-02-29",
        "1900-02-29",
        "2000-12-32",
        "31/31/1980",
        "yesterday",
        "17 Foo 1980",
        "1980-13",
        "12/1980x",
        "-",
    ],
)
def test_what_is_no_date_is_unparseable(text: str) -> None:
    assert read_birth_date(text, region=None) == (None, "unparseable")


@pytest.mark.parametrize(
    "text",
    [
        "1900-01-01",
        "1970-01-01",
        "01/01/1900",
        "0001-01-01",
        "9999-12-31",
        "1111-11-11",
        "00000000",
        "1900",
        "3000-01-01",
    ],
)
def test_fillers_and_years_nobody_is_born_in_are_junk(text: str) -> None:
    date, code = read_birth_date(text, region=None)

    assert (date, code) == (None, "junk")


@given(st.dates(datetime.date(1901, 1, 1), datetime.date(2090, 12, 31)))
def test_every_day_is_read_from_every_notation(day: datetime.date) -> None:
    iso = day.isoformat()
    if iso in {"1970-01-01", "1904-01-01"}:
        return

    assert read_birth_date(iso, region=None)[0] == iso
    assert read_birth_date(day.strftime("%d.%m.%Y"), region=None)[0] == iso
    assert read_birth_date(day.strftime("%m/%d/%Y"), region="US")[0] == iso
    assert read_birth_date(day.strftime("%d %B %Y"), region=None)[0] == iso


@given(st.text(st.sampled_from("0123456789-/. TZ:maye")))
def test_whatever_is_stated_gets_a_date_that_exists_or_a_code(text: str) -> None:
    date, code = read_birth_date(text, region=None)

    assert date is not None or code in {"unparseable", "junk"}
    if date is not None:
        datetime.date.fromisoformat((date + "-01-01")[:10])
