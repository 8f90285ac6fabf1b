"""Run the benchmarks, print every figure, keep them as JSON and write the page.

    python -m benchmarks                                # all of them, at full size: long
    python -m benchmarks --quick                        # all of them, small and short: does everything run?
    python -m benchmarks --only lookup --records 50000
    python -m benchmarks --write docs/benchmarks.md     # ... and write the page's tables

The page's figures are kept beside it as JSON, so that one benchmark can be measured again without the others.
Invariant: fixed seeds; a full run needs nothing but the machine; one that is skipped says why.
Elsewhere: a benchmark each (`benchmarks.measure_*`), the shared server and stores (`benchmarks.stage`).
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import orjson

from benchmarks.figures import Figure, Measurement, read_measurement, write_measurement
from benchmarks.machine import describe_machine, read_commit, read_date
from benchmarks.page import format_figure, render_measurements, replace_between
from benchmarks.stage import Sizes, Stage, open_stage
from deploy.local.postgres import find_postgres_binaries

__all__ = ["main"]

_NO_POSTGRES: Final = "no PostgreSQL here; `python -m deploy.local.postgres ensure` installs it"


@dataclass(frozen=True, slots=True)
class _Room:
    name: str
    records: Callable[[Sizes], int]
    measure: Callable[[Stage], Iterator[Figure]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 1 when a figure missed its target or does not count, else 0."""
    options = _read_options(arguments)
    # A benchmark that is told to end leaves through its `with` blocks, which stop what they started.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sizes = Sizes.of(options.records, is_quick=options.quick)
    blank = Measurement("", describe_machine(), read_date(), read_commit(), 0)
    print(f"{blank.date}, commit {blank.commit}, {blank.machine}", flush=True)
    measurements: list[Measurement] = []
    if "accuracy" in options.only:
        measurements.append(_measure_accuracy(options, blank))
    rooms = [room for room in _rooms() if room.name in options.only]
    with ExitStack() as opened:
        if rooms and find_postgres_binaries() is None:
            measurements += [replace(blank, name=room.name, skipped=_NO_POSTGRES) for room in rooms]
        elif rooms:
            stage = opened.enter_context(open_stage(sizes, tell=_tell))
            for room in rooms:
                start = replace(blank, name=room.name, records=room.records(sizes))
                measurements.append(_measure(start, room.measure(stage)))
                _keep(measurements, options)
    _keep(measurements, options)
    missed = [figure for one in measurements for figure in one.figures if figure.is_met is False]
    print(
        f"\n{len(missed)} figures missed their targets"
        + "".join(f"\n  {format_figure(one)}" for one in missed)
    )
    return 1 if missed and options.strict else 0


def _rooms() -> list[_Room]:
    from benchmarks.measure_beside import measure_beside
    from benchmarks.measure_bulk import measure_bulk
    from benchmarks.measure_lookup import measure_lookup
    from benchmarks.measure_resolve import measure_resolve
    from benchmarks.measure_single import measure_single
    from benchmarks.measure_sqlite import measure_sqlite
    from benchmarks.measure_streams import measure_streams

    return [
        _Room("resolve", lambda sizes: sizes.resolve, measure_resolve),
        _Room("single", lambda sizes: sizes.resolve, measure_single),
        _Room("lookup", lambda sizes: sizes.resolve, measure_lookup),
        _Room("bulk", lambda sizes: sizes.bulk, measure_bulk),
        _Room("sqlite", lambda sizes: sizes.reference, measure_sqlite),
        _Room("beside", lambda sizes: sizes.bulk, measure_beside),
        _Room("streams", lambda sizes: sizes.resolve, measure_streams),
    ]


_NAMES: Final = ("resolve", "single", "lookup", "bulk", "sqlite", "beside", "streams", "accuracy")


def _measure(start: Measurement, figures: Iterator[Figure]) -> Measurement:
    """Take all figures of one benchmark, printing each as it comes."""
    size = f" ({start.records:,} records)" if start.records else ""
    print(f"\n{start.name}{size}", flush=True)
    started = time.monotonic()
    taken: list[Figure] = []
    for figure in figures:
        taken.append(figure)
        print(f"  {format_figure(figure)}", flush=True)
    print(f"  ({time.monotonic() - started:.0f} s)", flush=True)
    return replace(start, figures=tuple(taken))


def _measure_accuracy(options: argparse.Namespace, blank: Measurement) -> Measurement:
    from benchmarks.measure_accuracy import measure_accuracy

    named = replace(blank, name="accuracy")
    folder: Path | None = options.data
    if folder is None or not folder.is_dir():
        why = "name the folder with the public sets by --data"
        reason = f"no folder of public data ({why if folder is None else f'{folder.name} is no folder'})"
        print(f"\naccuracy\n  skipped: {reason}", flush=True)
        return replace(named, skipped=reason)
    measured = _measure(named, measure_accuracy(folder, is_quick=options.quick))
    if not measured.figures:
        return replace(measured, skipped="the folder holds none of the public sets")
    return measured


def _keep(measurements: Sequence[Measurement], options: argparse.Namespace) -> None:
    """Write the figures as JSON and, where asked for, the page; what else is there stays."""
    page: Path | None = options.write
    file: Path | None = options.json or (page.with_suffix(".json") if page is not None else None)
    if file is None:
        return
    kept: dict[str, Measurement] = {}
    if file.exists():
        kept = {one["name"]: read_measurement(one) for one in orjson.loads(file.read_bytes())}
    # A benchmark that was skipped here does not take away what was measured elsewhere.
    kept |= {one.name: one for one in measurements if not one.skipped or one.name not in kept}
    ordered = [kept[name] for name in _NAMES if name in kept]
    documents = [write_measurement(one) for one in ordered]
    file.write_bytes(orjson.dumps(documents, option=orjson.OPT_INDENT_2) + b"\n")
    if page is not None:
        text = replace_between(page.read_text(encoding="utf-8"), render_measurements(ordered))
        page.write_text(text, encoding="utf-8")


def _read_options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Run the benchmarks.")
    parser.add_argument(
        "--only", nargs="+", choices=_NAMES, default=_NAMES, metavar="NAME", help=", ".join(_NAMES)
    )
    parser.add_argument("--records", type=int, help="at most this many records in each, instead of full size")
    parser.add_argument("--quick", action="store_true", help="10,000 records and short measurements")
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder with the public sets of `accuracy`")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="keep the figures here (merged with what is there)"
    )
    parser.add_argument(
        "--write", type=Path, metavar="PAGE", help="write the tables of this page, and PAGE.json"
    )
    parser.add_argument("--strict", action="store_true", help="end with 1 when a target is missed")
    return parser.parse_args(arguments)


def _tell(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
