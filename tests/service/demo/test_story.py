"""The merge that is shown."""

from __future__ import annotations

from matching.score import compile_scorer
from matching.scoring_model import default_scoring_model
from matching.standardise import clean_attributes, standardise
from service.demo.story import AFTER, BEFORE


def test_the_last_record_links_with_both_that_do_not_link_with_each_other() -> None:
    scoring_model = default_scoring_model()
    scorer = compile_scorer(scoring_model)
    sources = [source for source, _, _ in (*BEFORE, AFTER)]
    profiles = [
        standardise(clean_attributes(attributes), region="GB").profile
        for _, _, attributes in (*BEFORE, AFTER)
    ]

    def weight(left: int, right: int) -> int:
        score = scorer.explain_pair(
            profiles[left], profiles[right], left_source=sources[left], right_source=sources[right]
        )
        assert score.conflict is None
        return score.weight

    link_min = scoring_model.link_thresholds_millibits[0]
    assert weight(0, 1) < link_min
    assert weight(0, 2) >= link_min
    assert weight(1, 2) >= link_min
