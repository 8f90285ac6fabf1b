"""The house rules that no linter knows: nameplates, doors, clocks, sizes, documentation.

Invariant: each rule reads the source by syntax and imports nothing, so it also judges a file that cannot be
imported. A rule about a file that is not in the tree yet holds until the file is there.
Elsewhere: format and lint (ruff), types (mypy), the direction of imports (`tests.house.import_contracts`).
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

__all__: list[str] = []

ROOT = Path(__file__).parents[1]
PACKAGES = ("identity", "matching", "registry", "streams", "console", "service")
OTHER_ROOMS = ("tests", "benchmarks", "deploy", "examples")

JUNK_WORDS = {"utils", "util", "common", "misc", "helpers", "helper", "manager"}

CLOCK_ROOM = "service/clock.py"
CLOCK_CALLS = {
    "datetime": {"now", "utcnow", "today"},
    "date": {"today"},
    "time": {"time", "time_ns"},
}

LINES_MAX = 400
# A file that reads as one thing may run long: path -> why.
LONG_ROOMS: dict[str, str] = {}

# Rooms without a test file of their own: name in the package (or full path) -> where they are tested.
ROOMS_TESTED_ELSEWHERE: dict[str, str] = {
    "errors": "nothing to run: codes are checked below, statuses in tests/service/test_problems.py",
    **dict.fromkeys(
        (
            "identity/admit",
            "identity/attempt",
            "identity/change",
            "identity/effects",
            "identity/flush",
            "identity/naming",
            "identity/region",
            "identity/ties",
            "identity/widen",
        ),
        "a step of one transaction: tests/promises runs it whole beside the oracle, tests/identity/test_resolve.py too",
    ),
    **dict.fromkeys(
        ("streams/completing", "streams/held", "streams/reading"),
        "a step of one batch: tests/streams/test_take.py runs it whole on both stores, test_replay.py too",
    ),
    **dict.fromkeys(
        ("service/programs", "service/worker"),
        "the process around a worker or a relay: tests/service/cli/test_worker.py and test_cli_relay.py run it",
    ),
    "identity/store": "ports: the contract suite in tests/contract runs every adapter against them",
    "identity/store_sql": "adapters: tested by the contract suite in tests/contract",
}

TEXT_SUFFIXES = {
    "",
    ".py",
    ".md",
    ".toml",
    ".yaml",
    ".yml",
    ".json",
    ".txt",
    ".sh",
    ".ini",
    ".cfg",
    ".lock",
    ".sql",
}


# ------------------------------------------------------------------------------------------------ rules


def test_every_room_has_a_nameplate() -> None:
    found = [path for path in _sources(*PACKAGES, *OTHER_ROOMS) if not ast.get_docstring(_tree(path))]

    assert not found, _report("module docstring missing", found)


def test_no_room_has_a_junk_name() -> None:
    parts = {part for path in _sources(*PACKAGES, *OTHER_ROOMS) for part in Path(path).with_suffix("").parts}

    found = [part for part in parts if JUNK_WORDS & set(part.split("_"))]

    assert not found, _report("say what is inside", found)


def test_only_the_clock_room_reads_the_wall_clock() -> None:
    found = [
        f"{path}:{line}"
        for path in _sources(*PACKAGES)
        if path != CLOCK_ROOM
        for line in _clock_reads(_tree(path))
    ]

    assert not found, _report(f"`now` is an argument; the clock is read in {CLOCK_ROOM}", found)


def test_every_room_lists_its_doors() -> None:
    found = [path for path in _sources(*PACKAGES) if not _is_migration(path) and _doors(_tree(path)) is None]

    assert not found, _report("`__all__` missing, or not a plain list of names", found)


def test_every_public_name_is_a_listed_door() -> None:
    found = [
        f"{path}: {node.name}"
        for path in _sources(*PACKAGES)
        if not _is_migration(path)
        for node in _definitions(_tree(path))
        if not node.name.startswith("_") and node.name not in (_doors(_tree(path)) or ())
    ]

    assert not found, _report("list it in `__all__` or begin its name with an underscore", found)


def test_every_listed_door_exists() -> None:
    found = [
        f"{path}: {name}"
        for path in _sources(*PACKAGES)
        for name in _doors(_tree(path)) or ()
        if name not in _bound_names(_tree(path))
    ]

    assert not found, _report("named in `__all__`, not in the room", found)


def test_a_corridor_holds_no_furniture() -> None:
    found = [
        f"{path}:{node.lineno}"
        for path in _sources(*PACKAGES, *OTHER_ROOMS)
        if path.endswith("__init__.py")
        for node in _tree(path).body
        if not _belongs_in_a_corridor(node)
    ]

    assert not found, _report("`__init__.py` holds a docstring, imports and `__all__` only", found)


def test_no_room_is_crowded_without_a_reason() -> None:
    lengths = {path: len(_text(path).splitlines()) for path in _sources(*PACKAGES)}

    crowded = [
        f"{path}: {n} lines" for path, n in lengths.items() if n > LINES_MAX and path not in LONG_ROOMS
    ]
    settled = [path for path in LONG_ROOMS if path in lengths and lengths[path] <= LINES_MAX]

    assert not crowded, _report(
        f"over {LINES_MAX} lines: build a second room, or give the reason here", crowded
    )
    assert not settled, _report("short again: take it off LONG_ROOMS", settled)


def test_every_public_function_and_class_has_a_docstring() -> None:
    found = [
        f"{path}:{node.lineno} {node.name}"
        for path in _sources(*PACKAGES)
        if not _is_migration(path)
        for node in _definitions(_tree(path))
        if not node.name.startswith("_") and not _is_overload(node) and not ast.get_docstring(node)
    ]

    assert not found, _report("docstring missing", found)


def test_every_error_code_is_documented() -> None:
    page = ROOT / "docs/errors.md"
    documented = set(re.findall(r"`([a-z0-9_]+)`", page.read_text("utf-8"))) if page.exists() else None

    found = [
        f"{path}: {code}"
        for path in _sources(*PACKAGES)
        if path.endswith("errors.py")
        for code in _error_codes(_tree(path))
        if documented is not None and code not in documented
    ]

    assert not found, _report("code missing in docs/errors.md", found)


def test_every_setting_is_documented() -> None:
    page = ROOT / "docs/settings.md"
    documented = set(re.findall(r"`\w+`|\bSAMEAS_\w+", page.read_text("utf-8"))) if page.exists() else None

    found = [
        name
        for path in _sources("service")
        if path == "service/settings.py"
        for name in _class_fields(_tree(path), "Settings")
        if documented is not None and not {f"`{name}`", f"SAMEAS_{name.upper()}"} & documented
    ]

    assert not found, _report("setting missing in docs/settings.md", found)


def test_no_file_names_a_path_of_somebodys_machine() -> None:
    machine_path = re.compile(r"(?<![\w.$}*>-])/(?:root|home|work)/")

    found = [
        f"{path}:{number}"
        for path in _files()
        if Path(path).suffix in TEXT_SUFFIXES
        for number, line in enumerate(_text(path).splitlines(), 1)
        if machine_path.search(line)
    ]

    assert not found, _report("a path that exists on one machine only", found)


def test_every_relative_link_in_the_documentation_resolves() -> None:
    found = [f"{path}: {link}" for path in _files() if path.endswith(".md") for link in _broken_links(path)]

    assert not found, _report("link leads nowhere", found)


def test_every_room_has_a_test_file_at_the_mirrored_path() -> None:
    found = [
        path
        for path in _sources(*PACKAGES)
        if not path.endswith(("__init__.py", "__main__.py"))
        and not _is_migration(path)
        and not _has_tests(path)
    ]

    assert not found, _report("no tests/<package>/test_<room>.py", found)


def test_every_directory_of_rooms_is_a_package() -> None:
    directories = {str(Path(path).parent) for path in _sources(*PACKAGES) if not _is_migration(path)}

    found = [directory for directory in directories if not (ROOT / directory / "__init__.py").exists()]

    assert not found, _report("without `__init__.py` it is missing in the installed distribution", found)


# ---------------------------------------------------------------------------------------------- reading


def _report(rule: str, found: list[str]) -> str:
    return "\n  ".join([f"{rule}:", *sorted(found)])


@cache
def _files() -> tuple[str, ...]:
    """Every file that is or will be in the repository, as POSIX paths below the root, sorted."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        listed = (
            subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
        )
    except (OSError, subprocess.CalledProcessError):  # a source archive instead of a clone
        listed = []
        for directory, below, names in os.walk(ROOT):
            below[:] = [name for name in below if not _is_left_out(name)]
            listed += [(Path(directory) / name).relative_to(ROOT).as_posix() for name in names]
    return tuple(sorted(path for path in listed if path and (ROOT / path).is_file()))


def _is_left_out(directory: str) -> bool:
    return (directory.startswith(".") and directory != ".ci") or directory in {"__pycache__", "build", "dist"}


def _sources(*packages: str) -> Iterator[str]:
    for path in _files():
        if path.endswith(".py") and path.split("/")[0] in packages:
            yield path


@cache
def _text(path: str) -> str:
    return (ROOT / path).read_text("utf-8")


@cache
def _tree(path: str) -> ast.Module:
    return ast.parse(_text(path), filename=path)


def _is_migration(path: str) -> bool:
    return "/migrations/" in path


# --------------------------------------------------------------------------------------- syntax of a room


def _definitions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node


def _is_overload(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> bool:
    return any(ast.unparse(decorator).endswith("overload") for decorator in node.decorator_list)


def _doors(tree: ast.Module) -> list[str] | None:
    """The names in `__all__`; None where there is none or it is computed."""
    for node in tree.body:
        if "__all__" in _assigned_names(node) and isinstance(node, ast.Assign | ast.AnnAssign):
            try:
                return [str(name) for name in ast.literal_eval(node.value)] if node.value else None
            except ValueError:
                return None
    return None


def _assigned_names(node: ast.stmt) -> set[str]:
    targets = node.targets if isinstance(node, ast.Assign) else []
    if isinstance(node, ast.AnnAssign):
        targets = [node.target]
    return {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}


def _bound_names(tree: ast.Module) -> set[str]:
    """Names bound at the top level, also below `if TYPE_CHECKING:` and `try:`."""
    bound: set[str] = set()
    todo: list[ast.stmt] = list(tree.body)
    while todo:
        node = todo.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            bound.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            bound |= {alias.asname or alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.If | ast.Try | ast.With):
            todo += [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt)]
            todo += [child for handler in getattr(node, "handlers", []) for child in handler.body]
        else:
            bound |= _assigned_names(node)
    return bound


def _belongs_in_a_corridor(node: ast.stmt) -> bool:
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    return isinstance(node, ast.Import | ast.ImportFrom) or _assigned_names(node) == {"__all__"}


def _clock_reads(tree: ast.Module) -> Iterator[int]:
    """Lines that name a function of the wall clock, called or passed on."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            owner = ast.unparse(node.value).rsplit(".", 1)[-1].removeprefix("_")
            if node.attr in CLOCK_CALLS.get(owner, ()):
                yield node.lineno
        elif isinstance(node, ast.ImportFrom) and node.module == "time":
            if {alias.name for alias in node.names} & CLOCK_CALLS["time"]:
                yield node.lineno


def _error_codes(tree: ast.Module) -> Iterator[str]:
    """Values of `code = "..."` in the classes of a module of errors."""
    for definition in _definitions(tree):
        for node in definition.body:
            if isinstance(node, ast.Assign | ast.AnnAssign) and "code" in _assigned_names(node):
                if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
                    yield node.value.value


def _class_fields(tree: ast.Module, name: str) -> Iterator[str]:
    for definition in _definitions(tree):
        if definition.name == name:
            for node in definition.body:
                if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                    if "ClassVar" not in ast.unparse(node.annotation) and not node.target.id.startswith("_"):
                        yield node.target.id


# ------------------------------------------------------------------------------------- tests and documents


def _has_tests(path: str) -> bool:
    """Tell whether the room, or the directory it lies in, has a test file at a mirrored path."""
    package, *inner, room = Path(path).with_suffix("").parts
    directories = ["/".join([package, *inner[: depth + 1]]) for depth in range(len(inner))]
    if {room, "/".join([package, *inner, room]), *directories} & ROOMS_TESTED_ELSEWHERE.keys():
        return True
    places = [f"tests/{'/'.join([package, *inner])}/test_{room}.py"]
    places += [f"tests/{package}/test_{'_'.join([*inner, room])}.py"]
    places += [f"tests/{package}/test_{'_'.join(inner[: depth + 1])}.py" for depth in range(len(inner))]
    return any(place in _files() for place in places)


def _broken_links(path: str) -> Iterator[str]:
    """Relative links of a Markdown file whose file, or heading in it, does not exist."""
    prose = re.sub(r"^(```|~~~).*?^\1", "", _text(path), flags=re.DOTALL | re.MULTILINE)
    prose = re.sub(r"`[^`\n]*`", "", prose)
    for link in re.findall(r"\]\(\s*<?([^)\s>]+)", prose):
        if re.match(r"[a-z][a-z0-9+.-]*:", link):
            continue
        target, _, anchor = link.partition("#")
        place = (ROOT / path).parent / target if target else ROOT / path
        if not place.exists() or (anchor and place.suffix == ".md" and anchor not in _anchors(place)):
            yield link


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#{1,6}\s+(.*?)\s*$", page.read_text("utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
