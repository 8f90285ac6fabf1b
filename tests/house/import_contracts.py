"""Hold the direction of imports: run import-linter on the contracts in pyproject.toml.

Invariant: a contract names every package and room of the plan; what is not in the tree yet is left out, so
the contract binds from the day its room appears.
Elsewhere: the contracts (`pyproject.toml`, tool.importlinter), house rules by syntax (`tests/test_house.py`).

    python -m tests.house.import_contracts
"""

from __future__ import annotations

import configparser
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from importlinter.cli import lint_imports

__all__ = ["main", "render_contracts"]

ROOT = Path(__file__).parents[2]


def main() -> int:
    """Check all contracts; 0 when they hold."""
    rules = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
    text = render_contracts(rules, root=ROOT)
    if text is None:
        print("no packages yet, so no imports to check")
        return 0
    sys.path.insert(0, str(ROOT))
    with tempfile.TemporaryDirectory() as directory:
        config = Path(directory) / "importlinter.ini"
        config.write_text(text)
        return lint_imports(
            config_filename=str(config), cache_dir=str(ROOT / ".import_linter_cache"), no_logo=True
        )


def render_contracts(rules: Mapping[str, Any], *, root: Path) -> str | None:
    """Return an import-linter configuration of the contracts that can bind by now, None without packages."""
    packages = [name for name in rules["root_packages"] if (root / name / "__init__.py").exists()]
    if not packages:
        return None
    plan = set(rules["root_packages"])

    def keep_present(names: Iterable[str]) -> list[str]:
        """Third-party names stay: nobody may import them, installed or not."""
        return [name for name in names if name.split(".")[0] not in plan or _is_present(name, root=root)]

    config = configparser.ConfigParser()
    config["importlinter"] = {
        "root_packages": _lines(packages),
        "include_external_packages": str(rules.get("include_external_packages", False)),
    }
    for contract in rules["contracts"]:
        section: dict[str, str] = {}
        for field, value in contract.items():
            if field in {"layers", "source_modules", "forbidden_modules"}:
                section[field] = _lines(keep_present(value))
            elif field != "id":
                section[field] = _lines(value) if isinstance(value, list) else str(value)
        lists = [
            section[field] for field in ("layers", "source_modules", "forbidden_modules") if field in section
        ]
        if all(lists):
            config[f"importlinter:contract:{contract['id']}"] = section
    lines: list[str] = []
    for name in config.sections():
        lines += [f"[{name}]", *(f"{field} = {value}" for field, value in config[name].items()), ""]
    return "\n".join(lines)


def _is_present(module: str, *, root: Path) -> bool:
    path = root.joinpath(*module.split("."))
    package = root / module.partition(".")[0] / "__init__.py"
    return package.exists() and ((path / "__init__.py").exists() or path.with_suffix(".py").exists())


def _lines(names: Iterable[str]) -> str:
    return "".join(f"\n    {name}" for name in names)


if __name__ == "__main__":
    raise SystemExit(main())
