"""Write the JSON Schemas and the AsyncAPI document into the repository.

    python -m streams.schema_files

Invariant: a schema that would break who reads by the one in its file is refused: such a message needs a new name
(`v2`) and a topic of its own, both told for a while.
Elsewhere: what breaks (`streams.message_schemas`), the document (`streams.asyncapi`).
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import orjson

from streams.asyncapi import draw_asyncapi
from streams.message_schemas import SHAPES, breaking_changes, draw_schema
from streams.topics import TopicNames

__all__ = ["ASYNCAPI_FILE", "SCHEMAS_DIR", "list_breaks", "main", "render_asyncapi", "render_document"]

SCHEMAS_DIR: Final = Path(__file__).with_name("schemas")
ASYNCAPI_FILE: Final = Path(__file__).parents[1] / "docs" / "asyncapi.json"


def main() -> int:
    """Write all files; 1, and no file, when a schema breaks."""
    breaks = list_breaks(SCHEMAS_DIR)
    if breaks:
        sys.stderr.write("\n".join(["these changes break who reads the messages:", *breaks, ""]))
        return 1
    SCHEMAS_DIR.mkdir(exist_ok=True)
    for shape in SHAPES:
        _file_of(SCHEMAS_DIR, shape).write_text(render_document(draw_schema(shape)), encoding="utf-8")
    ASYNCAPI_FILE.write_text(render_asyncapi(), encoding="utf-8")
    return 0


def list_breaks(published: Path) -> list[str]:
    """Return what breaks against the schemas in the folder, each with the name of its message."""
    return [
        f"{shape}: {sentence}"
        for shape in SHAPES
        if (file := _file_of(published, shape)).exists()
        for sentence in breaking_changes(orjson.loads(file.read_bytes()), draw_schema(shape))
    ]


def render_asyncapi() -> str:
    """Return the AsyncAPI document of this program."""
    return render_document(draw_asyncapi(TopicNames(), version=version("sameas")))


def render_document(document: Mapping[str, Any]) -> str:
    """Return a document as the text of its file."""
    return orjson.dumps(document, option=orjson.OPT_INDENT_2).decode() + "\n"


def _file_of(directory: Path, shape: str) -> Path:
    return directory / f"{shape}.v1.json"


if __name__ == "__main__":
    raise SystemExit(main())
