"""The first load of a store fits the scoring model to its records, whatever their order in the file."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pytest

from benchmarks.fit_in_memory import fit_in_memory
from identity.bulk import first_fit
from identity.bulk.first_fit import fit_first_model, make_proposer
from identity.bulk.new_records import NewRecords
from identity.bulk.prepared_rows import ProfileTable
from matching.block import compile_blocker
from matching.model import Profile, encode_profile
from matching.scoring_model import default_scoring_model, load_scoring_model
from matching.standardise import standardise
from matching.tabulate import lay_out_profiles
from service.demo.population import generate_population
from tests.identity.stores import Place

BASE = default_scoring_model()
HASH_KEY = b"sixteen bytes at least"


class Profiles:
    """Distinct profiles, in two tables."""

    def __init__(self, profiles: Sequence[Profile]) -> None:
        self._profiles = profiles
        self._block = compile_blocker(BASE, hash_key=HASH_KEY)

    def iter_tables(self) -> Iterator[ProfileTable]:
        for numbers in np.array_split(np.arange(len(self._profiles)), 2):
            part = [self._profiles[number] for number in numbers]
            hashes = pa.array([self._block(profile) for profile in part], pa.list_(pa.int64()))
            yield ProfileTable(pa.array(numbers), lay_out_profiles(part), hashes)

    def iter_encoded(self) -> Iterator[tuple[npt.NDArray[np.int64], list[bytes]]]:
        for numbers in np.array_split(np.arange(len(self._profiles)), 2):
            yield numbers, [self.read(number) for number in numbers]

    def read(self, number: int) -> bytes:
        return encode_profile(self._profiles[number])


def gather(profiles: Sequence[Profile]) -> NewRecords:
    """Return one new record for each profile."""
    return NewRecords.gather(
        "crm", [f"k{at}" for at in range(len(profiles))], np.arange(len(profiles)), Profiles(profiles)
    )


def draw_profiles(count: int) -> list[Profile]:
    return list(
        dict.fromkeys(
            standardise(record.attributes, region="GB").profile
            for record in generate_population(seed=9, record_count=count)
        )
    )


def find_pairs(profiles: Sequence[Profile]) -> set[tuple[int, int]]:
    block = compile_blocker(BASE, hash_key=HASH_KEY)
    holders: dict[int, list[int]] = {}
    for at, profile in enumerate(profiles):
        for key in block(profile):
            holders.setdefault(key, []).append(at)
    return {
        (one, other)
        for held in holders.values()
        if len(held) <= BASE.holders_max
        for one in held
        for other in held
        if one < other
    }


@pytest.mark.slow
def test_it_is_the_fit_of_all_candidates_in_any_order() -> None:
    profiles = draw_profiles(1_500)
    shuffled = random.Random(4).sample(profiles, len(profiles))
    expected = fit_in_memory(BASE, [("crm", profile) for profile in profiles], find_pairs(profiles))

    for order in (profiles, shuffled):
        fitted = fit_first_model(BASE, gather(order), hash_key=HASH_KEY, memory_limit_mb=500)

        assert fitted.document == expected.document


@pytest.mark.slow
def test_of_very_many_candidates_a_share_is_counted_and_says_about_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    profiles = draw_profiles(3_000)
    whole = fit_first_model(BASE, gather(profiles), hash_key=HASH_KEY, memory_limit_mb=500)
    pairs = len(find_pairs(profiles))
    monkeypatch.setattr(first_fit, "CANDIDATES_MAX", pairs // 2)

    half = fit_first_model(BASE, gather(profiles), hash_key=HASH_KEY, memory_limit_mb=500)

    assert half.version != whole.version
    assert half.find_prior("crm", "crm") == pytest.approx(whole.find_prior("crm", "crm"), abs=200)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with closing(Place(None, tmp_path)) as place:
        yield place


@pytest.mark.slow
def test_unasked_only_more_records_than_the_default_is_made_for_are_fitted_to(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    identity = place.open_identity()
    new = gather(draw_profiles(1_200))
    document = orjson.loads(BASE.document) | {"population": 1_000}
    smaller = load_scoring_model(orjson.dumps(document))

    assert make_proposer(identity, is_asked=False)(BASE, new) is BASE
    assert make_proposer(identity, is_asked=True)(BASE, new).version != BASE.version
    # A model that is not the default was put by somebody, and stays.
    assert make_proposer(identity, is_asked=True)(smaller, new) is smaller

    monkeypatch.setattr(first_fit, "default_scoring_model", lambda: smaller)
    assert make_proposer(identity, is_asked=False)(smaller, new).version != smaller.version
