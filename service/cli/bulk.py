"""`sameas load` and `evaluate`: whole files in, and how well the result agrees with a truth."""

from __future__ import annotations

import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.cli.session import open_identity, os_author, parse_pair
from service.cli.show import AsJson, print_document, print_table

if TYPE_CHECKING:
    from identity.bulk.request import LoadReport
    from streams.targets import PathSpec

__all__ = ["evaluate", "load"]

_LOOKUP_ROWS = 10_000
_STEPS = {
    "prepare": "reading",
    "fit": "fitting the scoring model",
    "match": "finding candidates",
    "store": "storing",
    "resolve": "resolving",
    "settle": "settling",
}


def load(  # noqa: PLR0917 - Typer's options are parameters; nobody calls this by position
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="A registered source.")],
    file: Annotated[Path, typer.Argument(help="CSV, Parquet or NDJSON.")],
    key: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN", help="Key column; several make a composite.")
    ] = None,
    mapping: Annotated[
        list[str] | None, typer.Option("--map", metavar="ATTRIBUTE=COLUMN", help="May be repeated.")
    ] = None,
    file_format: Annotated[
        str | None, typer.Option("--format", help="csv, parquet or ndjson; else guessed.")
    ] = None,
    rejects: Annotated[Path | None, typer.Option(help="Where refused rows go; FILE.rejects.ndjson.")] = None,
    snapshot: Annotated[
        bool, typer.Option("--snapshot", help="The file is all the source has: withdraw the rest.")
    ] = False,
    withdraw_max: Annotated[
        float, typer.Option(min=0, max=1, help="Share that a snapshot may withdraw.")
    ] = 0.05,
    train: Annotated[
        bool | None,
        typer.Option(
            "--train/--no-train",
            help="Into a store without records: fit the scoring model to this file first (of 1,000 records or more), "
            "or keep the default. If not said, a file larger than the default is made for is fitted to.",
        ),
    ] = None,
    processes: Annotated[int, typer.Option(min=1, max=64, help="Processes that read the file.")] = 2,
) -> None:
    """Load a file of records; safe to run again, also after a crash.

    Example: sameas load crm customers.csv --key id --map email=mail --map address.city=town
    """
    from identity.bulk.first_fit import FITTED_RECORDS_MIN, make_proposer
    from identity.bulk.load import load_records
    from identity.bulk.request import BULK_RECORDS_MIN, LoadRequest
    from service.clock import CidSource, SystemClock
    from service.resolvers.error_heads import error_of_head
    from streams.rejects import RejectsWriter
    from streams.statements import FileStatements

    clock, load_id = SystemClock(), f"load-{secrets.token_hex(6)}"
    rejects_path = rejects if rejects is not None else file.with_name(f"{file.name}.rejects.ndjson")
    statements = FileStatements(
        str(file),
        os_author(),
        clock.now(),
        load_id,
        format=file_format,
        key=key[0] if key and len(key) == 1 else key or None,
        mapping=_read_mapping(mapping or ()),
    )
    with open_identity() as identity, RejectsWriter(rejects_path) as refused, _progress() as show:
        request = LoadRequest(
            source,
            statements,
            load_id,
            os_author(),
            snapshot=snapshot,
            withdraw_max=withdraw_max,
            processes=processes,
            # Asked to fit, a smaller file than usual takes the bulk path: the fit comes before it.
            bulk_records_min=FITTED_RECORDS_MIN if train else BULK_RECORDS_MIN,
            propose_model=None if train is False else make_proposer(identity, is_asked=train is True),
            on_error=lambda row: refused.add(row[0], error_of_head({"code": row[1], "detail": row[2]})),
            on_progress=show,
        )
        report = load_records(identity, request, clock=clock.now, new_cid=CidSource())
        _print_report(report, rejects_path if refused.total else None)


def evaluate(
    truth: Annotated[Path, typer.Argument(help="Parquet with source, source_key and entity_id.")],
    as_json: AsJson = False,
) -> None:
    """Compare the stored customers with a truth: pairwise and B-cubed precision, recall and F1.

    Example: sameas evaluate truth.parquet
    """
    from identity.model import RecordRef
    from matching.evaluate import evaluate_partition

    rows = _read_truth(truth)
    clusters: list[str] = []
    with open_identity() as identity:
        for at in range(0, len(rows), _LOOKUP_ROWS):
            part = rows[at : at + _LOOKUP_ROWS]
            found = identity.look_up([RecordRef(source, key) for source, key, _ in part])
            # A record that has no CID stands for itself alone.
            clusters += [cid or f"{at + place}" for place, (cid, _) in enumerate(found.rows)]
    result = evaluate_partition(clusters, [entity for _, _, entity in rows])
    measures = {
        name: {"precision": one.precision, "recall": one.recall, "f1": one.f1}
        for name, one in (("pairwise", result.pairwise), ("b_cubed", result.b_cubed))
    }
    if as_json:
        counts = {"records": result.record_count, "customers": result.cluster_count}
        print_document({**counts, "true_customers": result.customer_count, **measures})
        return
    typer.echo(
        f"{result.record_count} records: {result.cluster_count} customers, in truth {result.customer_count}"
    )
    print_table(
        ("", "precision", "recall", "F1"),
        [(name, *(f"{value:.4f}" for value in one.values())) for name, one in measures.items()],
    )


def _read_mapping(pairs: list[str] | tuple[str, ...]) -> dict[str, PathSpec]:
    mapping: dict[str, Any] = {}
    for name, column in map(parse_pair, pairs):
        held = mapping.get(name)
        mapping[name] = column if held is None else [*([held] if isinstance(held, str) else held), column]
    return mapping


def _read_truth(path: Path) -> list[tuple[str, str, object]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from matching.errors import TruthInvalid

    columns = ("source", "source_key", "entity_id")
    try:
        table = pq.read_table(path, columns=list(columns))
    except (OSError, pa.ArrowException, KeyError) as exc:
        raise TruthInvalid(f"{path} is not a Parquet file with {', '.join(columns)}") from exc
    missing = [name for name in columns if name not in table.column_names]
    if missing:
        raise TruthInvalid(f"{path} lacks the column {missing[0]}")
    sources, keys, entities = (table.column(name).to_pylist() for name in columns)
    if len(set(zip(sources, keys, strict=True))) != len(sources):
        raise TruthInvalid(f"{path} names a record twice")
    return [
        (str(source), str(key), entity) for source, key, entity in zip(sources, keys, entities, strict=True)
    ]


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int | None], None]]:
    """Show a bar on a terminal; elsewhere nothing."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        bars: dict[str, Any] = {}

        def show(step: str, done: int, total: int | None) -> None:
            if step not in bars:
                bars[step] = progress.add_task(_STEPS.get(step, step), total=total)
            progress.update(bars[step], completed=done, total=total)

        yield show


def _print_report(report: LoadReport, rejects: Path | None) -> None:
    typer.echo(f"{report.rows} rows: " + ", ".join(f"{count} {name}" for name, count in _counts(report)))
    if report.model_put is not None:
        typer.echo(
            f"scoring model {report.model_put} was fitted to these records: it is the store's from now on"
        )
    if report.keys_unusable:
        passed_over = ", ".join(f"{rule} {count}" for rule, count in report.keys_unusable.most_common())
        typer.echo(f"blocking keys passed over because too many records hold them: {passed_over}")
    if report.withdrawals_withheld:
        typer.echo(
            f"{report.withdrawals_withheld} absent records are not withdrawn: a refused row has no readable key",
            err=True,
        )
    if rejects is not None:
        typer.echo(f"{report.rejected} rows refused, see {rejects}", err=True)


def _counts(report: LoadReport) -> list[tuple[str, int]]:
    counts = [(name, count) for name, count in sorted(report.outcomes.items()) if count]
    return [*counts, ("rejected", report.rejected)]
