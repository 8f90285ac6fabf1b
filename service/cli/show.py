"""Print answers: a table for people, JSON for programs.

Invariant: text that came from a store is printed as text, never read as markup.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

__all__ = ["AsJson", "print_document", "print_table"]

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def print_document(document: object) -> None:
    """Print JSON, indented."""
    sys.stdout.write(orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode())


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows under their columns; where nobody looks on, nothing is cut off."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    console = Console(soft_wrap=False, width=None if sys.stdout.isatty() else 4_000, highlight=False)
    console.print(table)
