"""The files of the repository say what the models say, and are not overwritten by what breaks consumers."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from streams import schema_files
from streams.message_schemas import SHAPES, draw_schema
from streams.schema_files import (
    ASYNCAPI_FILE,
    SCHEMAS_DIR,
    list_breaks,
    main,
    render_asyncapi,
    render_document,
)

REWRITE = "run `python -m streams.schema_files`"


def test_no_published_message_has_lost_a_member_or_given_it_another_type() -> None:
    assert list_breaks(SCHEMAS_DIR) == []


@pytest.mark.parametrize("shape", SHAPES)
def test_the_json_schemas_are_current(shape: str) -> None:
    written = (SCHEMAS_DIR / f"{shape}.v1.json").read_text("utf-8")

    assert written == render_document(draw_schema(shape)), REWRITE


def test_there_is_no_file_of_a_message_that_is_not_sent() -> None:
    assert {path.name for path in SCHEMAS_DIR.iterdir()} == {f"{shape}.v1.json" for shape in SHAPES}


def test_the_asyncapi_document_is_current() -> None:
    assert ASYNCAPI_FILE.read_text("utf-8") == render_asyncapi(), REWRITE


def test_a_schema_that_would_break_readers_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(schema_files, "SCHEMAS_DIR", tmp_path / "schemas")
    monkeypatch.setattr(schema_files, "ASYNCAPI_FILE", tmp_path / "asyncapi.json")
    assert main() == 0
    file = tmp_path / "schemas" / "cids.v1.json"
    published = orjson.loads(file.read_bytes())
    published["properties"]["born_at"] = {"type": "string"}
    published["required"].append("born_at")
    file.write_bytes(orjson.dumps(published))

    assert main() == 1

    assert "cids: $.born_at is gone" in capsys.readouterr().err
    assert orjson.loads(file.read_bytes()) == published
