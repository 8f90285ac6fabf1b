"""Where a condition holds, it is said that it may; where it is said to hold, it does."""

from __future__ import annotations

import random
from collections.abc import Iterator

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from identity.bulk import may_hold
from identity.bulk.features import Features
from identity.bulk.may_hold import Asked, Sides
from matching.compare import Condition, render_sql
from matching.model import PROFILE_COLUMNS, Profile
from matching.scoring_model import default_scoring_model
from matching.tabulate import ProfileTabler
from tests.identity.bulk.test_sieve import draw_profile, exchange_names


def iter_conditions() -> Iterator[Condition]:
    """Yield every condition of the default model, whole ones and their parts."""

    def walk(condition: Condition) -> Iterator[Condition]:
        yield condition
        for part in condition.parts:
            yield from walk(part)

    for comparison in default_scoring_model().comparisons:
        for level in comparison.levels:
            if level.condition is not None:
                yield from walk(level.condition)


CONDITIONS = list(dict.fromkeys(iter_conditions()))


@pytest.fixture(scope="module")
def profiles() -> list[Profile]:
    chance = random.Random(11)
    drawn = [draw_profile(chance) for _ in range(70)]
    return [*drawn, *map(exchange_names, drawn[:30])]


@pytest.fixture(scope="module")
def table(profiles: list[Profile]) -> pa.Table:
    return (
        ProfileTabler(default_scoring_model(), hash_key=b"k").tabulate(profiles).select(list(PROFILE_COLUMNS))
    )


@pytest.fixture(scope="module")
def asked(table: pa.Table) -> Asked:
    features = Features([list(PROFILE_COLUMNS)])
    features.add(table)
    features.seal()
    places = np.arange(table.num_rows)
    return Asked(features.columns, Sides(np.repeat(places, len(places)), np.tile(places, len(places))))


@pytest.mark.parametrize("condition", CONDITIONS, ids=lambda one: one.operator)
def test_an_answer_leaves_open_what_it_does_not_know(
    table: pa.Table, asked: Asked, condition: Condition
) -> None:
    sides = [", ".join(f'{side}."{name}" AS "{name}_{side}"' for name in PROFILE_COLUMNS) for side in "lr"]
    with duckdb.connect() as connection:
        connection.register("t", table.append_column("place", pa.array(range(table.num_rows))))
        rows = connection.execute(
            f"SELECT coalesce({render_sql(condition)}, false) FROM "
            f"(SELECT {', '.join(sides)}, l.place AS x, r.place AS y FROM t l, t r) ORDER BY x, y"
        ).fetchall()
    holds = np.array([row[0] for row in rows], dtype=np.bool_)

    may, does = asked.answer(condition)

    assert not (holds & ~may).any()
    assert not (does & ~holds).any()


def test_every_measure_of_the_default_model_is_known_but_those_that_rarely_matter() -> None:
    measures = {one.operator for one in CONDITIONS if not one.parts}

    assert measures - may_hold._MEASURES.keys() == {"both_end_with", "initials_fit", "scheme_shared"}
