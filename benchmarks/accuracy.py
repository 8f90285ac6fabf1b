"""Measure how well the default scoring model finds customers in public data with known truth.

    python -m benchmarks.accuracy DATA_DIR [--fitted] [SET …]

DATA_DIR holds Parquet files with `source`, `source_key`, `entity_id` and attributes. Every column that
has a place among the identity attributes is mapped to it (the mapping is printed). No label is looked at
and nothing is tuned; `--fitted` first fits the model to the records, as the first load of a store does.
Records are standardised, blocked, scored and partitioned in memory by the same pure functions that the
service uses.
Elsewhere: speed (`benchmarks`), the same measurement through a store (`sameas evaluate`).
"""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow.parquet as pq

from benchmarks.fit_in_memory import fit_in_memory
from matching.block import compile_blocker
from matching.cluster import Constraints, Member, cluster_component
from matching.evaluate import Evaluation, evaluate_partition
from matching.model import Profile
from matching.partition import Links, part_records
from matching.score import Scorer, compile_scorer
from matching.scoring_model import ScoringModel, default_scoring_model
from matching.standardise import standardise

__all__ = ["MEASURED_SETS", "DataSet", "Measured", "main", "measure_set", "read_set"]

MEASURED_SETS: Final = (
    "febrl1",
    "febrl2",
    "febrl3",
    "febrl4",
    "splink_fake_1000",
    "historical_25k",
    "senzing_truthset",
    "cdc_recordlinker",
    "dqbench_tier1",
    "dqbench_tier2",
    "restaurants_fz",
    "dedupe_childcare_orgs",
    "goldenmatch_orgs_hard",
)

_PLACES: Final[Mapping[str, str]] = {
    "record_type": "kind",
    "given_name": "given_name",
    "middle_name": "middle_name",
    "family_name": "family_name",
    "suffix": "name_suffix",
    "full_name": "full_name",
    "maiden_name": "other_names",
    "native_name": "other_names",
    "secondary_org_name": "other_names",
    "gender": "sex",
    "birth_date": "birth_date",
    "birth_place": "birth_place",
    "org_name": "org_name",
    "employer": "org_name",
    "website": "website",
    "email": "email",
    "phone": "phone",
    "address_line": "address.line",
    "house_number": "address.house_number",
    "street": "address.street",
    "city": "address.city",
    "postcode": "address.postcode",
    "state": "address.region",
    "country": "address.country",
    "national_id": "identifiers.national_id",
    "passport": "identifiers.passport",
    "drivers_license": "identifiers.driving_licence",
    "lei": "identifiers.lei",
}
_HASH_KEY: Final = b"accuracy benchmark"


@dataclass(frozen=True, slots=True)
class DataSet:
    """Records of one file: source, key, attributes, and the true customer of each."""

    name: str
    region: str | None
    mapping: Mapping[str, str]
    rows: Sequence[tuple[str, str, Mapping[str, Any]]]
    truth: Sequence[str]


@dataclass(frozen=True, slots=True)
class Measured:
    """What one set gave: agreement, work done, and the recall that blocking alone allows."""

    evaluation: Evaluation
    clusters: Sequence[int]
    keys_per_record: float
    candidates_per_record: float
    blocking_recall: float
    pairs_per_s: float
    seconds: float


def read_set(path: Path) -> DataSet:
    """Return the records of a Parquet file with its columns mapped to identity attributes."""
    table = pq.read_table(path)
    mapping = {name: place for name, place in _PLACES.items() if name in table.column_names}
    rows, truth = [], []
    countries: set[str] = set()
    for row in table.to_pylist():
        rows.append((row["source"], row["source_key"], dict(_attributes(row, mapping))))
        truth.append(row["entity_id"])
        if row.get("country"):
            countries.add(row["country"])
    region = countries.pop() if len(countries) == 1 else None
    return DataSet(path.stem, region, mapping, rows, truth)


def measure_set(found: DataSet, model: ScoringModel, *, is_fitted: bool = False) -> Measured:
    """Partition the records of a set under a model and compare the result with the truth.

    Args:
        is_fitted: the model is first fitted to all records of the set.
    """
    started = time.perf_counter()
    order = sorted(
        range(len(found.rows)), key=lambda i: (found.rows[i][0].encode(), found.rows[i][1].encode())
    )
    sources = [found.rows[i][0] for i in order]
    profiles = [standardise(found.rows[i][2], region=found.region).profile for i in order]
    truth = [found.truth[i] for i in order]
    numbers: dict[tuple[str, Profile], int] = {}
    profile_of = [
        numbers.setdefault((source, p), len(numbers)) for source, p in zip(sources, profiles, strict=True)
    ]
    pairs, key_count = _find_candidates(model, profiles, profile_of)
    if is_fitted:
        model = _fit(model, profiles, sources, profile_of, pairs)
    scorer = compile_scorer(model)
    scoring = time.perf_counter()
    weights = [
        scorer.score_pair(profiles[i], profiles[j], left_source=sources[i], right_source=sources[j])
        for i, j in pairs
    ]
    scored = time.perf_counter()
    ends = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    members = [
        Member((source.encode(), found.rows[i][1].encode()), number)
        for source, i, number in zip(sources, order, profile_of, strict=True)
    ]
    partition = part_records(
        len(profiles),
        Links(ends[:, 0], ends[:, 1], np.array(weights, dtype=np.int64)),
        profiles=np.array(profile_of, dtype=np.int64),
        thresholds=model.link_thresholds_millibits,
        component_max=model.component_max,
        cluster=lambda records: _cluster(records.tolist(), members, profiles, sources, scorer, model),
    )
    clusters = partition.labels.tolist()
    evaluation = evaluate_partition(clusters, truth)
    found_true = sum(truth[i] == truth[j] for i, j in pairs)
    return Measured(
        evaluation,
        clusters,
        key_count / max(len(profiles), 1),
        len(pairs) / max(len(profiles), 1),
        found_true / max(evaluation.true_pair_count, 1),
        len(pairs) / max(scored - scoring, 1e-9),
        time.perf_counter() - started,
    )


def main(arguments: Sequence[str]) -> int:
    """Print one line a set; return 2 where the folder is missing."""
    is_fitted = "--fitted" in arguments
    arguments = [argument for argument in arguments if argument != "--fitted"]
    if not arguments or not Path(arguments[0]).is_dir():
        print(__doc__, file=sys.stderr)
        return 2
    folder, model = Path(arguments[0]), default_scoring_model()
    names = list(arguments[1:]) or [name for name in MEASURED_SETS if (folder / f"{name}.parquet").exists()]
    sets = [read_set(folder / f"{name}.parquet") for name in names]
    for found in sets:
        print(
            f"{found.name}: region {found.region}; "
            + ", ".join(f"{c} > {p}" for c, p in found.mapping.items())
        )
    print(
        f"\nscoring model {model.version}, population {model.population}, cut {model.cut_millibits} millibits"
    )
    print(
        f"{'set':22} {'records':>7} | pairwise P     R    F1 | B-cubed P     R    F1 |"
        " blocked  keys  cand  kpair/s   s"
    )
    for found in sets:
        measured = measure_set(found, model, is_fitted=is_fitted)
        pairwise, b_cubed = measured.evaluation.pairwise, measured.evaluation.b_cubed
        print(
            f"{found.name:22} {measured.evaluation.record_count:7} |"
            f"     {pairwise.precision:.3f} {pairwise.recall:.3f} {pairwise.f1:.3f} |"
            f"    {b_cubed.precision:.3f} {b_cubed.recall:.3f} {b_cubed.f1:.3f} |"
            f"   {measured.blocking_recall:.3f} {measured.keys_per_record:5.1f}"
            f" {measured.candidates_per_record:5.1f}"
            f" {measured.pairs_per_s / 1000:8.0f} {measured.seconds:4.0f}",
            flush=True,
        )
    return 0


def _attributes(row: Mapping[str, Any], mapping: Mapping[str, str]) -> Iterator[tuple[str, Any]]:
    groups: defaultdict[str, dict[str, str]] = defaultdict(dict)
    others: list[str] = []
    for column, place in mapping.items():
        value = row[column]
        if value is None:
            continue
        group, _, part = place.partition(".")
        if part:
            groups[group][part] = value
        elif place == "other_names":
            others.append(value)
        else:
            yield place, value
    if others:
        yield "other_names", others
    if set(groups["address"]) - {"country"}:
        yield "address", groups["address"]
    if groups["identifiers"]:
        yield "identifiers", groups["identifiers"]


def _find_candidates(
    model: ScoringModel, profiles: Sequence[Profile], profile_of: Sequence[int]
) -> tuple[list[tuple[int, int]], int]:
    """Return the pairs that share a key held by at most `holders_max` profiles, and the number of keys."""
    block = compile_blocker(model, hash_key=_HASH_KEY)
    holders: defaultdict[int, list[int]] = defaultdict(list)
    key_count = 0
    for record, profile in enumerate(profiles):
        for key in block(profile):
            holders[key].append(record)
            key_count += 1
    pairs: set[tuple[int, int]] = set()
    for records in holders.values():
        if len(records) > 1 and len({profile_of[record] for record in records}) <= model.holders_max:
            pairs.update(combinations(records, 2))
    return sorted(pairs), key_count


def _fit(
    model: ScoringModel,
    profiles: Sequence[Profile],
    sources: Sequence[str],
    profile_of: Sequence[int],
    pairs: Sequence[tuple[int, int]],
) -> ScoringModel:
    """Return the model fitted to the distinct profiles and the candidates among them."""
    firsts: dict[int, int] = {}
    for record, number in enumerate(profile_of):
        firsts.setdefault(number, record)
    places = {record: place for place, record in enumerate(firsts.values())}
    return fit_in_memory(
        model,
        [(sources[record], profiles[record]) for record in places],
        [(places[i], places[j]) for i, j in pairs if i in places and j in places],
    )


def _cluster(
    records: list[int],
    members: Sequence[Member],
    profiles: Sequence[Profile],
    sources: Sequence[str],
    scorer: Scorer,
    model: ScoringModel,
) -> list[list[int]]:
    apart = [
        (i, j)
        for i, j in combinations(range(len(records)), 2)
        if scorer.conflict(profiles[records[i]], profiles[records[j]])
    ]
    return cluster_component(
        [members[record] for record in records],
        lambda i, j: scorer.score_pair(
            profiles[records[i]],
            profiles[records[j]],
            left_source=sources[records[i]],
            right_source=sources[records[j]],
        ),
        cut=model.cut_millibits,
        clip=model.clip_millibits,
        constraints=Constraints(apart_weaker=apart),
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
