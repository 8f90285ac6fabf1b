"""Import contracts bind what is in the tree and wait for what is not."""

from __future__ import annotations

from pathlib import Path

from tests.house.import_contracts import render_contracts

__all__: list[str] = []

RULES = {
    "root_packages": ["upper", "lower"],
    "include_external_packages": True,
    "contracts": [
        {"id": "down", "name": "down", "type": "layers", "layers": ["upper", "lower"]},
        {
            "id": "pure",
            "name": "pure",
            "type": "forbidden",
            "source_modules": ["lower.core"],
            "forbidden_modules": ["sqlalchemy"],
        },
    ],
}


def _make_package(root: Path, name: str, *rooms: str) -> None:
    (root / name).mkdir()
    for room in ("__init__", *rooms):
        (root / name / f"{room}.py").touch()


def test_a_tree_without_packages_has_no_contracts(tmp_path: Path) -> None:
    assert render_contracts(RULES, root=tmp_path) is None


def test_a_contract_waits_for_its_room(tmp_path: Path) -> None:
    _make_package(tmp_path, "lower")

    text = render_contracts(RULES, root=tmp_path)

    assert text is not None
    assert "importlinter:contract:down" in text
    assert "upper" not in text
    assert "importlinter:contract:pure" not in text


def test_a_contract_binds_from_the_day_its_room_appears(tmp_path: Path) -> None:
    _make_package(tmp_path, "upper")
    _make_package(tmp_path, "lower", "core")

    text = render_contracts(RULES, root=tmp_path)

    assert text is not None
    assert "\n    upper\n    lower" in text
    assert "\n    lower.core" in text
    assert "\n    sqlalchemy" in text
