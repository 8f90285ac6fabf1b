"""Prepared rows are found again by position, profiles by number."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from identity.bulk.prepared_rows import PreparedRows
from identity.bulk.preparing import PreparingSetup, iter_prepared
from tests.identity.bulk.loads import Listed
from tests.promises.small_model import small_model
from tests.promises.world import State


def test_rows_are_found_by_position_and_profiles_by_number(tmp_path: Path) -> None:
    statements = [{"email": (f"mail{number % 10}",)} for number in range(20)]
    states = tuple(
        State(("crm", str(number)), None if number == 3 else one, version=number)
        for number, one in enumerate(statements)
    )
    setup = PreparingSetup(Listed(states), "crm", 1, {"domain": "sales"}, small_model().document, b"k" * 32)
    with PreparedRows(tmp_path) as rows:
        for chunk in iter_prepared(setup, processes=1):
            rows.add(chunk)
        rows.seal()

        plain = np.flatnonzero(rows.is_plain)
        numbers, firsts = rows.number_profiles(plain)
        tables = list(rows.iter_profiles(firsts))

        assert len(rows) == 20
        assert plain.tolist() == [number for number in range(20) if number != 3]
        assert [one.version for one in rows.read_statements([19, 2, 7])] == [19, 2, 7]
        assert [one.row for one in rows.read_facts([19, 2, 7])] == [20, 3, 8]
        assert len(set(numbers.tolist())) == len(firsts) == 10
        assert rows.read_digests(firsts)[0] == rows.read_statements([10])[0].profile_digest
        assert [number for table in tables for number in table.numbers.to_pylist()] == list(range(10))
        for table in tables:
            for number, hashes in zip(table.numbers.to_pylist(), table.hashes.to_pylist(), strict=True):
                one = rows.read_statements([int(firsts[number])])[0]
                assert (one.hashes, one.profile) == (hashes, rows.read_profile(int(firsts[number])))
    assert list(tmp_path.iterdir()) == []
