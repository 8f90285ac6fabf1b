"""No pair that may link is left out by the sieve, and most of those that cannot are."""

from __future__ import annotations

import json
import random
from functools import cache
from itertools import combinations

import numpy as np
import pyarrow as pa
import pytest

from identity.bulk import features, may_hold, sieve
from identity.bulk.sieve import Sieve
from matching.model import LIST_COLUMNS, PROFILE_COLUMNS, Profile
from matching.score import Scorer, compile_scorer
from matching.scoring_model import ScoringModel, default_scoring_model, load_scoring_model
from matching.tabulate import ProfileTabler
from tests.promises.small_model import small_model

_POOLS = {
    "kind": ["person", "organisation"],
    "given": ["ann", "a", "maria", "mary", "john", "jonathan", "anna maria", "catherine"],
    "family": ["smith", "maria", "smythe", "van der berg", "berg", "ann", "o neil jones", "jones"],
    "middle": ["j", "john", "john paul", "p", "jon"],
    "suffix": ["jr", "sr"],
    "birth_date": ["1980-05-12", "1980-12-05", "1980-05-13", "1981-01-01", "1980-05", "1980", "1908-05-12"],
    "birth_place": ["rome", "rome italy", "oslo"],
    "sex": ["f", "m"],
    "org": ["acme steel works", "acme steel", "acne steel works", "globex", "steel works acme"],
    "legal_form": ["gmbh", "ltd"],
    "employer": ["acme steel", "acme steal", "globex"],
    "emails": [
        "ann.smith@web.de",
        "annsmith@web.de",
        "ann.smith@gmx.de",
        "info@acme.com",
        "ann.smiht@web.de",
    ],
    "email_users": ["annsmith", "info", "annsmit"],
    "phones": ["4930123456", "4930123465", "30123456", "123456", "49401234567"],
    "addresses": ["12 main street springfield", "12 main st springfield", "7 high road bonn", "x"],
    "house_numbers": ["12", "7", "12a"],
    "streets": ["main street", "high road", "main st"],
    "units": ["1", "2"],
    "postcodes": ["12345", "12354", "99999"],
    "cities": ["springfield", "bonn", "springfeld"],
    "regions": ["de", "us"],
    "websites": ["acme.com", "globex.com"],
    "identifiers": [
        "tax_id:12345678",
        "tax_id:12345687",
        "iban@de:1",
        "loyalty@x:12345678",
        "vat_id:12345678",
    ],
}
_POOLS["given_canon"] = _POOLS["given"]
_POOLS["name_tokens"] = [*_POOLS["given"], *_POOLS["family"]]
_POOLS["family_alts"] = _POOLS["family"]
_POOLS["org_tokens"] = ["acme", "steel", "works", "globex", "the"]
_POOLS["org_alts"] = _POOLS["org"]


def draw_value(chance: random.Random, column: str) -> str:
    value = chance.choice(_POOLS[column])
    if chance.random() < 0.25 and column not in ("kind", "sex"):
        at = chance.randrange(len(value))
        value = chance.choice(
            (
                value[:at] + value[at + 1 : at + 2] + value[at : at + 1] + value[at + 2 :],
                value[:at] + chance.choice("aez19 ") + value[at:],
                value[:at] + value[at + 1 :] or value,
                value * 3,
            )
        ).strip()
    return value or "x"


def draw_profile(chance: random.Random) -> Profile:
    """Draw values for the columns that are there; some profiles have few, some nearly all."""
    density = chance.choice((0.15, 0.4, 0.8))
    values: list[str | tuple[str, ...] | None] = []
    for column in PROFILE_COLUMNS:
        if chance.random() > density:
            values.append(None)
        elif column in LIST_COLUMNS:
            count = chance.choice((1, 1, 1, 2, 3, 5, 7))
            values.append(tuple(sorted({draw_value(chance, column) for _ in range(count)})))
        else:
            values.append(draw_value(chance, column))
    return tuple(values)


def exchange_names(profile: Profile) -> Profile:
    """Return the profile with its given and its family name exchanged."""
    given, family = PROFILE_COLUMNS.index("given"), PROFILE_COLUMNS.index("family")
    values = list(profile)
    values[given], values[family] = values[family], values[given]
    return tuple(values)


@cache
def scorer_of(model: ScoringModel) -> Scorer:
    return compile_scorer(model, hash_key=b"k")


def sift(
    model: ScoringModel, profiles: list[Profile], pairs: list[tuple[int, int]], link_min: int
) -> list[bool]:
    """Ask a sieve about pairs of profiles, of two sources and added in two parts."""
    half = len(profiles) // 2
    tabler = ProfileTabler(model, hash_key=b"k")
    asked = Sieve(model)
    for source, first, part in (("crm", 0, profiles[:half]), ("shop", half, profiles[half:])):
        # Ids in any order, some of them negative, as for stored profiles.
        ids = pa.array([7 - 3 * at for at in range(first, first + len(part))], pa.int64())
        asked.add(ids, source, tabler.tabulate(part))
    asked.seal()
    left, right = (np.array([7 - 3 * pair[at] for pair in pairs], dtype=np.int64) for at in (0, 1))
    kept: list[bool] = asked.keep(left, right, link_min=link_min).tolist()
    return kept


def weights_of(model: ScoringModel, profiles: list[Profile], pairs: list[tuple[int, int]]) -> list[int]:
    half = len(profiles) // 2
    sources = ["crm" if at < half else "shop" for at in range(len(profiles))]
    score = scorer_of(model).score_pair
    return [
        score(profiles[x], profiles[y], left_source=sources[x], right_source=sources[y]) for x, y in pairs
    ]


def turned_model(chance: random.Random) -> ScoringModel:
    """Return the default model with what its levels weigh exchanged, so that any level may be the weightiest."""
    document = json.loads(default_scoring_model().document)
    for comparison in document["comparisons"]:
        for share in "mu":
            shares = [level[share] for level in comparison["levels"]]
            chance.shuffle(shares)
            for level, value in zip(comparison["levels"], shares, strict=True):
                level[share] = value
    for place, found in enumerate(document["dependent_classes"]):
        found["counts_as"] = ("same", "different")[place % 2]
        for levels in found["levels"].values():
            shares = list(levels.values())
            chance.shuffle(shares)
            levels.update(zip(levels, shares, strict=True))
    return load_scoring_model(json.dumps(document).encode())


@pytest.mark.parametrize("seed", range(12))
def test_a_pair_that_reaches_the_threshold_is_kept_whatever_the_threshold(seed: int) -> None:
    chance = random.Random(seed)
    model = default_scoring_model() if seed < 4 else turned_model(chance)
    profiles = [draw_profile(chance) for _ in range(50)]
    profiles += [exchange_names(one) for one in profiles[:15]]
    pairs = list(combinations(range(len(profiles)), 2))
    weights = weights_of(model, profiles, pairs)

    for link_min in (-25_000, -12_000, -3_800, 0, 9_000):
        kept = sift(model, profiles, pairs, link_min)
        assert all(is_kept for is_kept, weight in zip(kept, weights, strict=True) if weight >= link_min)
    assert max(weights) > 9_000


def test_most_pairs_that_cannot_link_are_left_out() -> None:
    chance, model = random.Random(1), default_scoring_model()
    profiles = [draw_profile(chance) for _ in range(150)]
    pairs = list(combinations(range(len(profiles)), 2))
    weights = weights_of(model, profiles, pairs)

    kept = sift(model, profiles, pairs, -3_800)

    link_count = sum(weight >= -3_800 for weight in weights)
    assert link_count <= sum(kept) < link_count + (len(pairs) - link_count) / 2


def test_bounds_hold_where_only_some_pairs_fit_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    chance, model = random.Random(2), default_scoring_model()
    profiles = [draw_profile(chance) for _ in range(30)]
    pairs = list(combinations(range(len(profiles)), 2))
    at_once = sift(model, profiles, pairs, -3_800)
    monkeypatch.setattr(sieve, "_PAIRS_AT_ONCE", 7)
    monkeypatch.setattr(features, "_CHUNK_VALUES", 3)

    assert sift(model, profiles, pairs, -3_800) == at_once


def test_a_pair_with_a_profile_that_was_not_added_is_kept() -> None:
    model = small_model()
    asked = Sieve(model)
    asked.seal()
    assert asked.keep(np.array([1]), np.array([2]), link_min=0).tolist() == [True]

    asked = Sieve(model)
    nobody: Profile = (None,) * len(PROFILE_COLUMNS)
    asked.add(pa.array([1, 2], pa.int64()), "crm", ProfileTabler(model, hash_key=b"k").tabulate([nobody] * 2))
    asked.seal()
    kept = asked.keep(np.array([1, 1]), np.array([2, 3]), link_min=0).tolist()
    assert kept == [False, True]


def test_a_measure_that_the_sieve_does_not_know_may_always_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    chance, model = random.Random(3), default_scoring_model()
    profiles = [draw_profile(chance) for _ in range(60)]
    pairs = list(combinations(range(len(profiles)), 2))
    known = sift(model, profiles, pairs, -3_800)
    monkeypatch.setattr(may_hold, "_MEASURES", {})

    unknown = sift(model, profiles, pairs, -3_800)

    assert all(now or not before for before, now in zip(known, unknown, strict=True))
    assert sum(unknown) > sum(known)
