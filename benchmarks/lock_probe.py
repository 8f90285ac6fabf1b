"""Tell how long others hold the write lock of a SQLite store at a time: ask for it every millisecond.

    python -m benchmarks.lock_probe FILE

Asks until standard input ends, then prints the longest time for which it was refused, in seconds. Two
holders whose turns are less than a millisecond apart count as one: the figure is hardly ever too small.
"""

from __future__ import annotations

import select
import sys
import time
from collections.abc import Sequence

import pysqlite3.dbapi2 as sqlite

__all__ = ["main"]

_EVERY_S = 0.001
_BUSY = 5


def main(arguments: Sequence[str]) -> None:
    """Probe the store until standard input ends."""
    connection = sqlite.connect(arguments[0], isolation_level=None, timeout=0)
    longest = 0.0
    refused_since: float | None = None
    while not select.select([sys.stdin], [], [], 0)[0]:
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
        except sqlite.OperationalError as exc:
            if getattr(exc, "sqlite_errorcode", _BUSY) & 0xFF != _BUSY:
                raise
            refused_since = refused_since or time.perf_counter()
        else:
            if refused_since is not None:
                longest = max(longest, time.perf_counter() - refused_since)
            refused_since = None
        time.sleep(_EVERY_S)
    print(longest)


if __name__ == "__main__":
    main(sys.argv[1:])
