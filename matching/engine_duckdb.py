# ruff: noqa: S608 - statements are put together from names and numbers of this room and of a checked document
"""Block and score many profiles at once: Splink on DuckDB, from the same document as the native scorer.

Invariant: for every pair the weight is the one that `matching.score` gives. Splink joins the pairs and
evaluates the comparisons' SQL; the levels that it finds are numbered as the native scorer numbers them
and each distinct pattern is weighed once by `PatternWeigher.weigh`. Splink's own weights are not used:
they are floats and know no classes.

 1. `load_profiles` stores columns, term steps (looked up in Python) and blocking keys (`matching.block`).
 2. `iter_candidates` keeps the keys held by at most `holders_max` profiles, joins them to pairs, scores
     these in slices.
 3. Slice: register the pairs, predict, read the level of each comparison back from its weight column.
     Splink is given m = 2^-(1 + position), u = 1 for a level, so that column holds -(1 + position)
     exactly and 0 for absent.
 4. Join the weight of each distinct (pattern, term steps, prior).

Elsewhere: what a partition makes of the pairs (`matching.cluster`), reading profiles from a store
(`identity`).
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from itertools import count, islice
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import duckdb
import pyarrow as pa
from splink import DuckDBAPI, Linker

from matching.block import compile_blocker
from matching.compare import render_sql
from matching.model import LIST_COLUMNS, PROFILE_COLUMNS, Profile
from matching.score import PatternWeigher
from matching.scoring_model import Comparison, ScoringModel, TermUse
from matching.tabulate import ProfileTabler, list_term_uses
from matching.train import PATTERN_COLUMNS

__all__ = ["PAIR_COLUMNS", "DuckDbEngine"]

PAIR_COLUMNS: Final = pa.schema([("left", pa.int64()), ("right", pa.int64()), ("weight", pa.int32())])

_LOAD_SLICE: Final = 20_000
_PAIR_SLICE: Final = 500_000


class DuckDbEngine:
    """A scratch database for one bulk run; a context manager that removes its files at the end.

    Args:
        hash_key: the installation's secret, as for `compile_blocker`.
        memory_limit_mb: DuckDB's own limit; what does not fit goes to files under `temp_dir`.
    """

    def __init__(
        self,
        model: ScoringModel,
        *,
        hash_key: bytes,
        memory_limit_mb: int = 1500,
        threads: int = 2,
        temp_dir: Path | None = None,
    ) -> None:
        self._model = model
        self._weigher = PatternWeigher(model)
        self._block = compile_blocker(model, hash_key=hash_key)
        self._uses = list_term_uses(model)
        self._tabler = ProfileTabler(model, hash_key=hash_key)
        self._sources: dict[str, int] = {}
        self._linker: Linker | None = None
        self._slices = count()
        self._folder = Path(tempfile.mkdtemp(prefix="sameas-bulk-", dir=temp_dir))
        self._con = duckdb.connect(str(self._folder / "bulk.duckdb"))
        for setting in (
            f"SET memory_limit = '{memory_limit_mb}MB'",
            f"SET threads = {threads}",
            f"SET temp_directory = '{str(self._folder).replace(chr(39), chr(39) * 2)}'",
            "SET preserve_insertion_order = false",
            "SET enable_progress_bar = false",
        ):
            self._con.execute(setting)
        self._con.execute(_profiles_ddl(self._uses))
        self._con.execute("CREATE TABLE blocking_keys (h BIGINT, id BIGINT)")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the scratch database and remove its files."""
        self._linker = None
        self._con.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def load_profiles(self, rows: Iterable[tuple[int, str, Profile]]) -> int:
        """Add profiles and return how many.

        Args:
            rows: (id, source, profile); each id once, each distinct (source, profile) once, since holders
                of a blocking key are counted by row. Read lazily, in slices.
        """
        loaded = 0
        self._linker = None
        remaining = iter(rows)
        while rows_slice := list(islice(remaining, _LOAD_SLICE)):
            self._load_slice(rows_slice)
            loaded += len(rows_slice)
        return loaded

    def iter_candidates(self, *, held: Mapping[int, int] | None = None) -> Iterator[pa.Table]:
        """Yield the candidate pairs in tables of `PAIR_COLUMNS`, left < right, each pair once, in no order.

        Args:
            held: blocking key -> number of profiles not loaded here that hold it too (those of the store).
        """
        self._make_candidates(held or {})
        total = self._count("candidates")
        for start in range(0, total, _PAIR_SLICE):
            yield self._score_slice(
                f"SELECT id_l, id_r FROM candidates WHERE place >= {start} AND place < {start + _PAIR_SLICE}"
            )
        self._con.execute("DROP TABLE candidates")

    def candidate_pairs(self, *, held: Mapping[int, int] | None = None) -> pa.Table:
        """Return what `iter_candidates` yields as one table; 16 bytes and more a pair."""
        return pa.concat_tables([PAIR_COLUMNS.empty_table(), *self.iter_candidates(held=held)])

    def score_pairs(self, pairs: pa.Table) -> pa.Table:
        """Return given pairs (left, right: loaded ids, each pair once) with their weights, in no order.

        Pairs with an id that is not loaded are left out. The weight does not depend on which side is left.
        """
        found = [PAIR_COLUMNS.empty_table()]
        for start in range(0, pairs.num_rows, _PAIR_SLICE):
            self._con.register("given_pairs", pairs.slice(start, _PAIR_SLICE))
            found.append(self._score_slice('SELECT "left" AS id_l, "right" AS id_r FROM given_pairs'))
            self._con.unregister("given_pairs")
        return pa.concat_tables(found)

    def count_patterns(self, pairs: pa.Table) -> pa.Table:
        """Return how many of given pairs have each pattern, term steps and pair of sources: `PATTERN_COLUMNS`.

        Args:
            pairs: left, right: loaded ids, each pair once.
        """
        names = list(self._sources)
        found = [PATTERN_COLUMNS.empty_table()]
        for start in range(0, pairs.num_rows, _PAIR_SLICE):
            self._con.register("given_pairs", pairs.slice(start, _PAIR_SLICE))
            numbered = self._number_slice('SELECT "left" AS id_l, "right" AS id_r FROM given_pairs')
            self._con.unregister("given_pairs")
            counted = self._con.sql(
                f"SELECT pattern, terms, source_a, source_b, count(*) AS n FROM {numbered} GROUP BY ALL"
            ).to_arrow_table()
            self._con.execute(f"DROP TABLE {numbered}")
            ends = [
                sorted((names[one], names[other]))
                for one, other in zip(
                    counted["source_a"].to_pylist(), counted["source_b"].to_pylist(), strict=True
                )
            ]
            columns = [
                counted["pattern"],
                counted["terms"],
                pa.array([low for low, _ in ends], pa.string()),
                pa.array([high for _, high in ends], pa.string()),
                counted["n"],
            ]
            found.append(pa.table(columns, names=PATTERN_COLUMNS.names).cast(PATTERN_COLUMNS))
        return pa.concat_tables(found)

    def numbered_pairs(self, pairs: pa.Table) -> pa.Table:
        """Return given pairs with numbered levels and packed term steps (pattern, terms), for checks."""
        self._con.register("given_pairs", pairs)
        numbered = self._number_slice('SELECT "left" AS id_l, "right" AS id_r FROM given_pairs')
        self._con.unregister("given_pairs")
        found = self._con.sql(
            f'SELECT id_l AS "left", id_r AS "right", pattern, terms FROM {numbered}'
        ).to_arrow_table()
        self._con.execute(f"DROP TABLE {numbered}")
        return found

    def _count(self, table: str) -> int:
        return int(self._con.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0])

    def _register_held(self, held: Mapping[int, int]) -> None:
        self._con.register(
            "held",
            pa.table({"h": pa.array(list(held), pa.int64()), "n": pa.array(list(held.values()), pa.int64())}),
        )

    def _make_candidates(self, held: Mapping[int, int]) -> None:
        self._register_held(held)
        self._con.execute(
            "CREATE OR REPLACE TEMP TABLE usable_keys AS SELECT h, id FROM blocking_keys SEMI JOIN ("
            "SELECT h FROM blocking_keys LEFT JOIN held USING (h) GROUP BY h "
            "HAVING count(*) > 1 "
            f"AND count(*) + coalesce(any_value(n), 0) <= {self._model.holders_max}) USING (h)"
        )
        self._con.unregister("held")
        self._con.execute(
            "CREATE OR REPLACE TEMP TABLE candidates AS "
            "SELECT id_l, id_r, row_number() OVER () - 1 AS place FROM ("
            "SELECT DISTINCT l.id AS id_l, r.id AS id_r FROM usable_keys l JOIN usable_keys r "
            "ON l.h = r.h AND l.id < r.id)"
        )
        self._con.execute("DROP TABLE usable_keys")

    def load_table(self, ids: pa.Array, source: str, columns: pa.Table, hashes: pa.Array) -> None:
        """Add profiles of one source that `ProfileTabler` tabulated, with their blocking keys.

        Args:
            ids: int64, one a row of `columns`.
            hashes: the blocking keys of each row, a list of int64.
        """
        self._linker = None
        number = self._sources.setdefault(source, len(self._sources))
        head = pa.table({"unique_id": ids, "source": pa.array([number] * len(ids), pa.int32())})
        for name in columns.column_names:
            head = head.append_column(name, columns[name])
        self._insert("profiles", head)
        self._con.register("incoming", pa.table({"hashes": hashes, "id": ids}))
        self._con.execute("INSERT INTO blocking_keys SELECT unnest(hashes), id FROM incoming")
        self._con.unregister("incoming")

    def _load_slice(self, rows: list[tuple[int, str, Profile]]) -> None:
        by_source: dict[str, list[tuple[int, Profile]]] = {}
        for row_id, source, profile in rows:
            by_source.setdefault(source, []).append((row_id, profile))
        for source, entries in by_source.items():
            profiles = [profile for _, profile in entries]
            hashes = pa.array([self._block(profile) for profile in profiles], pa.list_(pa.int64()))
            ids = pa.array([row_id for row_id, _ in entries], pa.int64())
            self.load_table(ids, source, self._tabler.tabulate(profiles), hashes)

    def _insert(self, table: str, rows: pa.Table) -> None:
        self._con.register("incoming", rows)
        self._con.execute(f"INSERT INTO {table} SELECT * FROM incoming")
        self._con.unregister("incoming")

    def _score_slice(self, pairs_sql: str) -> pa.Table:
        numbered = self._number_slice(pairs_sql)
        self._weigh_patterns(numbered)
        scored = self._con.sql(
            f'SELECT id_l AS "left", id_r AS "right", CAST(weight AS INTEGER) AS weight '
            f"FROM {numbered} JOIN weights USING (pattern, terms, source_a, source_b)"
        ).to_arrow_table()
        self._con.unregister("weights")
        self._con.execute(f"DROP TABLE {numbered}")
        return scored.cast(PAIR_COLUMNS)

    def _weigh_patterns(self, numbered: str) -> None:
        """Register `weights`: one row for each distinct pattern, term steps and pair of sources."""
        distinct = self._con.sql(
            f"SELECT DISTINCT pattern, terms, source_a, source_b FROM {numbered}"
        ).to_arrow_table()
        names = list(self._sources)
        priors: dict[tuple[int, int], int] = {}
        weighed: dict[tuple[int, int, int], int] = {}
        weights = []
        for pattern, terms, low, high in zip(
            *(column.to_pylist() for column in distinct.columns), strict=True
        ):
            if (low, high) not in priors:
                priors[low, high] = self._model.find_prior(names[low], names[high])
            prior = priors[low, high]
            if (pattern, terms, prior) not in weighed:
                weighed[pattern, terms, prior] = self._weigher.weigh(pattern, terms, prior)
            weights.append(weighed[pattern, terms, prior])
        self._con.register("weights", distinct.append_column("weight", pa.array(weights, pa.int64())))

    def _number_slice(self, pairs_sql: str) -> str:
        """Score pairs by Splink and return the name of a table with their numbered levels."""
        linker = self._linker = self._linker or self._open_linker()
        number = next(self._slices)
        pairs_table, numbered = f"pairs_{number}", f"numbered_{number}"
        self._con.execute(
            f"CREATE TEMP TABLE {pairs_table} AS "
            f"SELECT '0' AS match_key, id_l AS join_key_l, id_r AS join_key_r FROM ({pairs_sql})"
        )
        linker.table_management.register_blocked_pairs_for_predict(self._api.register(pairs_table))
        predicted = linker.inference.predict()
        self._con.execute(
            f"CREATE TEMP TABLE {numbered} AS SELECT unique_id_l AS id_l, unique_id_r AS id_r, "
            f"{self._pattern_sql()} AS pattern, {self._terms_sql()} AS terms, "
            "least(source_l, source_r) AS source_a, greatest(source_l, source_r) AS source_b "
            f"FROM {predicted.physical_name}"
        )
        predicted.drop_table_from_database_and_remove_from_cache()
        self._con.execute(f"DROP TABLE {pairs_table}")
        return numbered

    def _open_linker(self) -> Linker:
        # One API object holds one cache of intermediate tables: a new linker gets a new one.
        self._api = DuckDBAPI(self._con)
        settings = {
            "link_type": "dedupe_only",
            "unique_id_column_name": "unique_id",
            "probability_two_random_records_match": 0.5,
            "retain_matching_columns": False,
            "retain_intermediate_calculation_columns": True,
            "additional_columns_to_retain": [
                "source",
                *(f"steps_{index}" for index in range(len(self._uses))),
            ],
            "blocking_rules_to_generate_predictions": ["l.unique_id = r.unique_id"],
            "comparisons": [_comparison_settings(comparison) for comparison in self._model.comparisons],
        }
        return Linker(self._api.register("profiles"), settings, log_level=None)

    def _pattern_sql(self) -> str:
        terms = [
            f"CAST(-mw_{comparison.name} AS BIGINT) * {radix}"
            for comparison, radix in zip(self._model.comparisons, self._weigher.radices, strict=True)
        ]
        return " + ".join(terms)

    def _terms_sql(self) -> str:
        """The packed term steps, as `PatternWeigher.pack_terms` packs them."""
        parts = [str(self._weigher.no_terms)]
        for comparison in self._model.comparisons:
            cases = [
                f"WHEN -{position + 1} THEN least(steps_{number}_l, steps_{number}_r)"
                for position, level in enumerate(comparison.levels)
                if level.terms
                for number in (self._uses.index(level.terms),)
            ]
            if cases:
                radix = self._weigher.term_radix(comparison.name)
                steps = f"CASE CAST(mw_{comparison.name} AS INTEGER) {' '.join(cases)} ELSE 0 END"
                parts.append(f"CAST({steps} AS BIGINT) * {radix}")
        return " + ".join(parts)


def _profiles_ddl(uses: list[TermUse]) -> str:
    columns = ["unique_id BIGINT", "source INTEGER"]
    columns += [f"{name} VARCHAR{'[]' if name in LIST_COLUMNS else ''}" for name in PROFILE_COLUMNS]
    columns += [f"steps_{index} SMALLINT" for index in range(len(uses))]
    return f"CREATE TABLE profiles ({', '.join(columns)})"


def _comparison_settings(comparison: Comparison) -> dict[str, Any]:
    absent = [" AND ".join(f"{name}{side} IS NULL" for name in comparison.columns) for side in ("_l", "_r")]
    levels: list[dict[str, Any]] = [
        {"sql_condition": f"({absent[0]}) OR ({absent[1]})", "is_null_level": True}
    ]
    for position, level in enumerate(comparison.levels):
        levels.append(
            {
                "sql_condition": render_sql(level.condition) if level.condition else "ELSE",
                "m_probability": 0.5 ** (position + 1),
                "u_probability": 1.0,
            }
        )
    return {"output_column_name": comparison.name, "comparison_levels": levels}
