"""A fit finds how many pairs are matches without a label, and the same document for any order of the records."""

from __future__ import annotations

import random
from collections import defaultdict
from functools import cache
from itertools import combinations
from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa
import pytest

from benchmarks.fit_in_memory import SourcedProfiles, count_pairs, fit_in_memory
from matching.block import compile_blocker
from matching.engine_duckdb import DuckDbEngine
from matching.model import Profile
from matching.score import compile_scorer
from matching.scoring_model import ScoringModel, default_scoring_model
from matching.standardise import standardise
from matching.train import PatternCounts, fit_scoring_model
from service.demo.population import generate_population

HASH_KEY = b"sixteen bytes at least"
BASE = default_scoring_model()
NOTHING = PatternCounts.gather([])


@cache
def population() -> tuple[SourcedProfiles, tuple[str, ...], tuple[tuple[int, int], ...]]:
    """Distinct profiles of the generator, who each of them is, and the candidate pairs among them."""
    block = compile_blocker(BASE, hash_key=HASH_KEY)
    profiles: dict[tuple[str, Profile], int] = {}
    truth = []
    for record in generate_population(seed=5, record_count=3_000):
        sourced = (record.source, standardise(record.attributes, region="GB").profile)
        if sourced not in profiles:
            profiles[sourced] = len(profiles)
            truth.append(record.entity_id)
    holders = defaultdict(list)
    for (_, profile), place in profiles.items():
        for key in block(profile):
            holders[key].append(place)
    pairs = {
        pair for held in holders.values() if len(held) <= BASE.holders_max for pair in combinations(held, 2)
    }
    return list(profiles), tuple(truth), tuple(sorted(pairs))


@pytest.mark.slow
def test_the_estimated_number_of_matches_is_close_to_the_truth() -> None:
    profiles, truth, pairs = population()

    fitted = fit_in_memory(BASE, profiles, pairs)

    estimated = int(fitted.description.split("about ")[1].split()[0])
    true = sum(truth[one] == truth[other] for one, other in pairs)
    assert true > 800
    assert estimated == pytest.approx(true, rel=0.06)
    assert fitted.population == len(profiles)


@pytest.mark.slow
def test_the_weights_of_a_fitted_model_tell_matches_from_others_better() -> None:
    profiles, truth, pairs = population()

    def count_wrong(model: ScoringModel) -> int:
        scorer = compile_scorer(model)
        return sum(
            (
                scorer.score_pair(
                    profiles[one][1],
                    profiles[other][1],
                    left_source=profiles[one][0],
                    right_source=profiles[other][0],
                )
                >= model.cut_millibits
            )
            != (truth[one] == truth[other])
            for one, other in pairs
        )

    assert count_wrong(fit_in_memory(BASE, profiles, pairs)) < count_wrong(BASE)


@pytest.mark.slow
def test_the_order_of_the_records_changes_no_byte() -> None:
    profiles, _, pairs = population()
    order = list(range(len(profiles)))
    random.Random(3).shuffle(order)
    place_of = {old: new for new, old in enumerate(order)}
    turned = [(place_of[other], place_of[one]) for one, other in reversed(pairs)]

    shuffled = fit_in_memory(BASE, [profiles[old] for old in order], turned)

    assert shuffled.document == fit_in_memory(BASE, profiles, pairs).document


@pytest.mark.slow
def test_the_bulk_engine_counts_what_the_native_scorer_counts(tmp_path: Path) -> None:
    profiles, _, pairs = population()
    chosen = pairs[:2_000]
    left, right = zip(*chosen, strict=True)
    # A slice's sums may come in pieces: counted in two halves.
    tables = [pa.table({"left": left[a:b], "right": right[a:b]}) for a, b in ((0, 900), (900, 2_000))]

    with DuckDbEngine(BASE, hash_key=HASH_KEY, temp_dir=tmp_path) as engine:
        engine.load_profiles((place, source, profile) for place, (source, profile) in enumerate(profiles))
        counted = PatternCounts.gather([engine.count_patterns(table) for table in tables])

    expected = count_pairs(BASE, profiles, chosen)
    assert counted.source_pairs == expected.source_pairs
    for name in ("patterns", "terms", "source_pair_of", "counts"):
        assert np.array_equal(getattr(counted, name), getattr(expected, name)), name


def test_without_any_candidate_the_frequencies_are_those_of_the_base_model() -> None:
    fitted = fit_scoring_model(BASE, candidates=NOTHING, random_pairs=NOTHING, profile_counts={"crm": 5_000})

    for comparison, base in zip(fitted.comparisons, BASE.comparisons, strict=True):
        total = sum(level.m for level in base.levels)
        for level, stated in zip(comparison.levels, base.levels, strict=True):
            assert level.m == pytest.approx(stated.m / total, rel=1e-4)
    assert fitted.find_prior("crm", "crm") == fitted.prior_millibits - 6_000
    assert fitted.find_prior("crm", "erp") == round(1000 * np.log2(0.5 / 5_000))


@pytest.mark.slow
def test_a_source_that_repeats_no_customer_gets_a_lower_prior_than_pairs_across() -> None:
    profiles, truth, pairs = population()
    first_of: dict[tuple[str, str], int] = {}
    for place, (source, _) in enumerate(profiles):
        first_of.setdefault((source, truth[place]), place)
    kept = sorted(first_of.values())
    places = {old: new for new, old in enumerate(kept)}
    among = [(places[one], places[other]) for one, other in pairs if one in places and other in places]

    fitted = fit_in_memory(BASE, [profiles[place] for place in kept], among)

    for source in ("crm", "shop", "billing"):
        assert fitted.find_prior(source, source) < fitted.find_prior("crm", "shop") - 1_500
    assert fitted.find_prior("crm", "shop") > fitted.find_prior("crm", "erp") - 3_000


def test_what_makes_blocking_keys_and_term_steps_stays_as_it_was() -> None:
    fitted = fit_scoring_model(BASE, candidates=NOTHING, random_pairs=NOTHING, profile_counts={"crm": 5_000})
    before, after = orjson.loads(BASE.document), orjson.loads(fitted.document)

    for field in ("blocking", "stop_values", "holders_max", "term_tables", "word_lists", "exclusive"):
        assert after[field] == before[field], field
    assert fitted.version != BASE.version


@pytest.mark.parametrize(("count", "share"), [(1, 1.0), (5, 0.0), (5, 1.5)])
def test_too_few_profiles_and_a_share_out_of_range_are_refused(count: int, share: float) -> None:
    with pytest.raises(ValueError, match="nothing to fit"):
        fit_scoring_model(
            BASE,
            candidates=NOTHING,
            random_pairs=NOTHING,
            profile_counts={"crm": count},
            sampled_share=share,
        )
