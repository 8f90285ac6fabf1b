"""P1: at every instant an accepted key maps to exactly one live CID, whoever writes beside it."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.promises.audit import assert_sound
from tests.promises.workers import state_customers
from tests.promises.world import make_identity

pytestmark = [pytest.mark.slow, pytest.mark.service]

PROCESSES = 4
CUSTOMERS = 750


def count_splits(url: str, directory: Path, *, with_locks: bool) -> tuple[int, list[str]]:
    """Let four processes state the same customers at once; return how many customers are split, and errors."""
    context = multiprocessing.get_context("spawn")
    identity = make_identity(url, directory)
    barrier, errors = context.Barrier(PROCESSES), context.Queue()
    processes = [
        context.Process(
            target=state_customers,
            args=(url, str(directory), number, CUSTOMERS, barrier, errors),
            kwargs={"with_locks": with_locks},
        )
        for number in range(PROCESSES)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
    told = []
    while not errors.empty():
        told.append(errors.get())
    with identity.store.read() as connection:
        rows = connection.execute(text("SELECT key, cid FROM record WHERE status = 'live'")).all()
    if with_locks:
        assert len(rows) == PROCESSES * CUSTOMERS
        assert_sound(identity)
    identity.close()
    cids = {(key.partition("-")[2], cid) for key, cid in rows}
    customers = Counter(customer for customer, _ in cids)
    assert len({cid for _, cid in cids}) == len(cids), "one CID for two customers"
    return sum(count > 1 for count in customers.values()), told


def test_p1_four_processes_with_near_simultaneous_duplicates_split_none(
    postgres_url: str, tmp_path: Path
) -> None:
    splits, errors = count_splits(postgres_url, tmp_path, with_locks=True)

    assert splits == 0
    assert errors == []


def test_p1_the_same_checker_finds_splits_with_the_locks_switched_off(
    postgres_url: str, tmp_path: Path
) -> None:
    splits, _ = count_splits(postgres_url, tmp_path, with_locks=False)

    assert splits > 0
