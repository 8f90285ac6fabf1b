"""Read a scoring model document, strictly, into values.

Invariant: a `ScoringModel` exists only for a document that keeps every rule; its `version` is a hash of the
canonical document.
Elsewhere: what the values are for (`document`), parts of the document (`read_comparisons`, `read_blocking`).
"""

from __future__ import annotations

import hashlib
import re
from functools import cache
from importlib.resources import files
from itertools import pairwise

import orjson

from matching.errors import ScoringModelInvalid
from matching.scoring_model.document import ScoringModel, SourcePrior
from matching.scoring_model.place import Place, refuse_repeats
from matching.scoring_model.read_blocking import read_rule, read_stop_values
from matching.scoring_model.read_comparisons import (
    check_comparisons,
    read_class,
    read_comparison,
    read_table,
    read_vocabulary,
)

__all__ = ["default_scoring_model", "load_scoring_model"]


def load_scoring_model(text: bytes) -> ScoringModel:
    """Return the scoring model that a JSON document states.

    Raises:
        ScoringModelInvalid: the document breaks a rule; the message says which and where.
    """
    try:
        stated = orjson.loads(text)
    except orjson.JSONDecodeError as exc:
        raise ScoringModelInvalid(f"the scoring model is not JSON: {exc}") from exc
    document = orjson.dumps(stated, option=orjson.OPT_SORT_KEYS)
    root = Place(stated, "scoring model")
    root.refuse_unknown(
        "format description population prior_millibits source_priors same_as_millibits word_lists "
        "term_tables comparisons dependent_classes blocking stop_values holders_max "
        "link_thresholds_millibits component_max cut_millibits clip_millibits exclusive"
    )
    if root.whole("format", 1, 1) != 1:  # pragma: no cover - whole() refuses others
        raise ScoringModelInvalid("scoring model: format 1 is the only one")
    vocabulary = read_vocabulary(root)
    tables = {table.name: table for table in map(read_table, root.places("term_tables"))}
    comparisons = tuple(read_comparison(p, vocabulary, tables) for p in root.places("comparisons"))
    check_comparisons(comparisons)
    rules = tuple(map(read_rule, root.places("blocking")))
    refuse_repeats("blocking rules", [rule.name for rule in rules])
    thresholds = tuple(root.whole_list("link_thresholds_millibits"))
    if not thresholds or any(low >= high for low, high in pairwise(thresholds)):
        raise ScoringModelInvalid("scoring model.link_thresholds_millibits: has to rise and not to be empty")
    return ScoringModel(
        version=hashlib.sha256(document).hexdigest()[:16],
        document=document,
        description=root.text("description", maximum=2000),
        population=root.whole("population", 1, 10**12),
        prior_millibits=root.whole("prior_millibits", -60_000, 0),
        source_priors=_read_priors(root),
        same_as_millibits=root.whole("same_as_millibits", 0, 60_000),
        comparisons=comparisons,
        classes=tuple(read_class(p, comparisons) for p in root.places("dependent_classes", empty=True)),
        term_tables=tables,
        vocabulary=vocabulary,
        blocking_rules=rules,
        stop_values=read_stop_values(root, rules),
        holders_max=root.whole("holders_max", 1, 10_000),
        link_thresholds_millibits=thresholds,
        component_max=root.whole("component_max", 2, 10_000),
        cut_millibits=root.whole("cut_millibits", -60_000, 60_000),
        clip_millibits=root.whole("clip_millibits", 1, 60_000),
        exclusive=_read_exclusive(root),
    )


@cache
def default_scoring_model() -> ScoringModel:
    """Return the model that ships: persons and organisations together, good without training."""
    return load_scoring_model(files("matching").joinpath("default_model.json").read_bytes())


def _read_priors(root: Place) -> tuple[SourcePrior, ...]:
    priors: list[SourcePrior] = []
    for place in root.places("source_priors", empty=True):
        place.refuse_unknown("left right millibits")
        left, right = sorted((place.text("left"), place.text("right")))
        priors.append(SourcePrior(left, right, place.whole("millibits", -60_000, 0)))
    refuse_repeats("scoring model.source_priors", [f"{prior.left}|{prior.right}" for prior in priors])
    return tuple(priors)


def _read_exclusive(root: Place) -> tuple[str, ...]:
    schemes = root.texts("exclusive")
    if not all(re.fullmatch(r"[a-z0-9][a-z0-9_\-]{0,62}@?", scheme) for scheme in schemes):
        raise ScoringModelInvalid(
            "scoring model.exclusive: schemes are like [a-z0-9][a-z0-9_-]*, "
            "with @ behind where an issuer has to be stated"
        )
    return schemes
