"""What the processes of a test do: each opens the store for itself, waits for the others, then writes.

Invariant: importable and picklable, because processes are spawned.
"""

from __future__ import annotations

import os
import random
import signal
from multiprocessing.synchronize import Barrier, Event
from pathlib import Path
from typing import Any

from identity.model import RecordCommand, RecordRef
from identity.store import known
from identity.store_sql.postgres import PostgresTransaction
from identity.store_sql.sqlite import SqliteTransaction
from matching.errors import SameasError
from matching.standardise import clean_attributes
from tests.promises.world import make_identity

__all__ = ["die_while_writing", "state_customers"]


def state_customers(
    url: str, directory: str, number: int, count: int, barrier: Barrier, errors: Any, *, with_locks: bool
) -> None:
    """State `count` customers, the same ones in every process, in batches, each batch in an order of its own."""
    identity = make_identity(url, Path(directory), first_cid=(number + 1) * 10**9)
    if not with_locks:
        PostgresTransaction.ask_lock = lambda self, hashes: known(None)  # type: ignore[method-assign]
        PostgresTransaction.ask_lock_components = lambda self, component_ids: known(None)  # type: ignore[method-assign]
    chance = random.Random(number)
    for start in range(0, count, 50):
        barrier.wait(60)  # at once, on a busy machine too
        customers = list(range(start, min(count, start + 50)))
        chance.shuffle(customers)
        commands = [
            RecordCommand(
                RecordRef("crm", f"{number}-{customer}"),
                clean_attributes({"email": f"u{customer}@web.de", "birth_place": f"town {number % 2}"}),
                author="test",
            )
            for customer in customers
        ]
        try:
            answers = identity.resolve(commands)
        except SameasError as error:
            errors.put(repr(error))
            continue
        for answer in answers:
            if isinstance(answer, SameasError):
                errors.put(repr(answer))
    identity.close()


def die_while_writing(url: str | None, directory: str, kill_at: int, started: Event) -> None:
    """Write batches, and be killed at the n-th row statement of the third one."""
    identity = make_identity(url, Path(directory), first_cid=10**9)
    for batch in range(10):
        if batch == 2:
            _kill_at(identity, kill_at)
            started.set()
        identity.resolve(
            [
                RecordCommand(
                    RecordRef("crm", f"{batch}-{number}"),
                    clean_attributes({"email": f"u{number}@web.de"}),
                    author="test",
                )
                for number in range(20)
            ]
        )


def _kill_at(identity: Any, kill_at: int) -> None:
    transaction: type = PostgresTransaction if identity.store.is_postgres else SqliteTransaction
    counted = 0

    def dying(name: str) -> None:
        wrapped = getattr(transaction, name)

        def call(self: Any, *args: Any, **options: Any) -> Any:
            nonlocal counted
            counted += 1
            result = wrapped(self, *args, **options)
            if counted == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        setattr(transaction, name, call)

    for name in ("insert_rows", "update_rows", "delete_rows"):
        dying(name)
