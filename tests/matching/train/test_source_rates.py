"""Priors of pairs of sources follow how often these repeat customers."""

from __future__ import annotations

import pyarrow as pa

from matching.score import compile_scorer
from matching.scoring_model import default_scoring_model
from matching.train import PATTERN_COLUMNS, PatternCounts, learn_source_priors
from tests.matching.profiles import make_profile

MODEL = default_scoring_model()
SIZES = {"crm": 1_000, "shop": 1_000}


def _counted(*, across: int, within_crm: int) -> PatternCounts:
    anna = make_profile(
        given="anna", given_canon="anna", family="berg", birth_date="1980-02-03", phones=("49301234567",)
    )
    pattern, terms = compile_scorer(MODEL).find_pattern(anna, anna)
    rows = [(pattern, terms, "crm", "shop", across), (pattern, terms, "crm", "crm", within_crm)]
    table = pa.table([list(column) for column in zip(*rows, strict=True)], names=PATTERN_COLUMNS.names)
    return PatternCounts.gather([table.cast(PATTERN_COLUMNS)])


def _learn(counted: PatternCounts, *, sampled_share: float = 1.0) -> dict[tuple[str, str], int]:
    found = learn_source_priors(MODEL, counted, SIZES, sampled_share=sampled_share)
    return {(prior.left, prior.right): prior.millibits for prior in found}


def test_a_source_without_duplicates_has_a_lower_prior_than_pairs_across() -> None:
    priors = _learn(_counted(across=500, within_crm=1))

    assert set(priors) == {("crm", "crm"), ("crm", "shop"), ("shop", "shop")}
    assert priors["crm", "shop"] > MODEL.prior_millibits
    assert priors["crm", "crm"] < MODEL.prior_millibits - 3_000
    assert priors["shop", "shop"] < MODEL.prior_millibits - 3_000


def test_a_source_that_repeats_customers_as_often_has_the_same_prior() -> None:
    priors = _learn(_counted(across=500, within_crm=250))  # half as many pairs within as across

    assert abs(priors["crm", "crm"] - priors["crm", "shop"]) < 100


def test_a_sample_of_the_pairs_tells_the_same() -> None:
    whole = _learn(_counted(across=800, within_crm=80))
    sampled = _learn(_counted(across=400, within_crm=40), sampled_share=0.5)

    for pair in (("crm", "crm"), ("crm", "shop")):
        assert abs(whole[pair] - sampled[pair]) < 150


def test_without_pairs_no_prior_differs_by_more_than_a_bit() -> None:
    priors = _learn(PatternCounts.gather([]))

    assert all(abs(millibits - MODEL.prior_millibits) <= 1_000 for millibits in priors.values())
