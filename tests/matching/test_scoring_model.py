"""A scoring model document is refused as soon as it breaks a rule, and says which and where."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from matching.errors import ScoringModelInvalid
from matching.scoring_model import default_scoring_model, load_scoring_model


def _document() -> dict[str, Any]:
    stated: dict[str, Any] = orjson.loads(default_scoring_model().document)
    return stated


def _load(stated: dict[str, Any]) -> None:
    load_scoring_model(orjson.dumps(stated))


def test_the_default_model_keeps_its_own_rules() -> None:
    model = default_scoring_model()

    assert model.holders_max == 100
    assert model.component_max == 1000
    assert model.link_min_millibits == model.cut_millibits
    assert model.classes


def test_the_version_depends_on_the_content_and_not_on_order_or_spaces() -> None:
    stated = _document()
    turned = orjson.dumps(dict(reversed(stated.items())), option=orjson.OPT_INDENT_2)
    changed = orjson.dumps({**stated, "clip_millibits": 8001})

    assert load_scoring_model(turned).version == default_scoring_model().version
    assert load_scoring_model(turned) == default_scoring_model()
    assert load_scoring_model(changed).version != default_scoring_model().version


def test_a_source_pair_has_its_own_prior_in_either_order() -> None:
    stated = _document()
    stated["source_priors"] = [{"left": "shop", "right": "crm", "millibits": -9000}]
    model = load_scoring_model(orjson.dumps(stated))

    assert model.find_prior("crm", "shop") == model.find_prior("shop", "crm") == -9000
    assert model.find_prior("crm", "crm") == model.prior_millibits


def _set(path: str, value: object) -> Callable[[dict[str, Any]], None]:
    def change(stated: dict[str, Any]) -> None:
        *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
        place: Any = stated
        for part in parents:
            place = place[part]
        place[last] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_set("surprise", 1), "unknown field surprise"),
        (_set("comparisons.0.surprise", 1), r"comparisons\[0\]: unknown field surprise"),
        (_set("comparisons.0.levels.0.m", 0), r"levels\[0\].m: has to be a number"),
        (_set("comparisons.0.levels.0.u", 1.5), r"levels\[0\].u: has to be a number"),
        (_set("comparisons.0.levels.0.u", True), r"levels\[0\].u: has to be a number"),
        (_set("comparisons.0.levels.0.m", 0.2), "the m of all levels add to"),
        (_set("comparisons.0.levels.1.when", {"measure": "same", "column": "kind"}), "the last level"),
        (_set("comparisons.0.levels.0.when", {"measure": "guess"}), "measure 'guess' is not one of"),
        (_set("comparisons.0.levels.0.when", {"measure": "same", "column": "shoe"}), "column 'shoe'"),
        (
            _set("comparisons.0.levels.0.when", {"measure": "same", "column": "kind", "x": 1}),
            "does not take x",
        ),
        (_set("comparisons.0.levels.0.when", {"all": []}), "stands alone and lists conditions"),
        (_set("comparisons.0.levels.0.when", []), "a condition is an object"),
        (_set("comparisons.0.columns", ["shoe"]), "is not a profile column"),
        (_set("comparisons.1.levels.0.terms.table", "shoe"), "there is no term table"),
        (_set("comparisons.1.levels.0.terms.percent", 0), "whole number from 1 to 100"),
        (_set("comparisons.1.name", "kind"), "a name stands there twice"),
        (_set("term_tables.0.values", {}), "lists no value"),
        (_set("term_tables.0.values", {"x": 0}), "has to be a number from 1e-12"),
        (_set("dependent_classes.0.levels.sex", {"same": 1}), "has to list exactly the levels"),
        (_set("dependent_classes.0.counts_as", "maybe"), "counts_as"),
        (_set("blocking.0.parts.0.take", "guess"), "can be taken"),
        (_set("blocking.0.parts.0.columns", ["shoe"]), "is not a profile column"),
        (_set("blocking.0.parts.0.optional", 1), "has to be true or false"),
        (_set("blocking.0.parts.0.optional", True), "one at least is not optional"),
        (_set("stop_values", {"shoe": ["x"]}), "there is no blocking rule"),
        (_set("link_thresholds_millibits", [2000, 2000]), "has to rise"),
        (_set("link_thresholds_millibits", []), "has to rise"),
        (_set("holders_max", 0), "holders_max"),
        (_set("prior_millibits", -1.5), "prior_millibits"),
        (_set("exclusive", ["Tax ID"]), "exclusive"),
        (_set("format", 2), "format"),
        (_set("word_lists", {"x": ["'; drop"]}), "word_lists.x"),
    ],
)
def test_a_document_that_breaks_a_rule_is_refused_with_the_place(
    change: Callable[[dict[str, Any]], None], message: str
) -> None:
    stated = _document()
    change(stated)

    with pytest.raises(ScoringModelInvalid, match=message):
        _load(stated)


def test_a_missing_field_is_named() -> None:
    stated = _document()
    del stated["cut_millibits"]

    with pytest.raises(ScoringModelInvalid, match="cut_millibits is missing"):
        _load(stated)


def test_what_is_not_json_is_refused() -> None:
    with pytest.raises(ScoringModelInvalid, match="not JSON"):
        load_scoring_model(b"{")


@pytest.mark.parametrize(
    ("change", "is_like"),
    [
        (_set("population", 7), True),
        (_set("term_tables.0.values", {"x": 0.5}), True),
        (_set("holders_max", 7), False),
        (_set("stop_values", {}), False),
        (_set("blocking.0.values_max", 1), False),
    ],
)
def test_models_block_alike_when_blocking_stop_values_and_limit_are_the_same(
    change: Callable[[dict[str, Any]], None], *, is_like: bool
) -> None:
    stated = _document()
    before = load_scoring_model(orjson.dumps(stated))
    change(stated)

    assert before.blocks_like(load_scoring_model(orjson.dumps(stated))) is is_like
