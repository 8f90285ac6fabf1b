"""Give the first start an admin API key, once.

Invariant: a key is made only if the store has none of its own yet: an `admin.key` file whose key the
store knows is left as it is, a preset key is stored if the store does not know it. The file has mode
0600 from its first byte on.
Elsewhere: what is stored of a key (`service.keys`).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from service.errors import FileInaccessible
from service.keys import ApiKeys

__all__ = ["ADMIN_KEY_FILE", "ensure_admin_key"]

ADMIN_KEY_FILE: Final = "admin.key"
_AUTHOR: Final = "first start"


def ensure_admin_key(keys: ApiKeys, data_dir: Path, *, preset: str | None = None) -> str | None:
    """Make sure that there is an admin API key; returns its text if one was made at random just now."""
    if preset is not None:
        if not keys.is_known(preset):
            keys.create("preset admin", scopes=("admin",), author=_AUTHOR, text=preset)
        return None
    path = data_dir / ADMIN_KEY_FILE
    kept = _read(path)
    if kept and keys.is_known(kept):
        return None
    _, text = keys.create("first admin", scopes=("admin",), author=_AUTHOR)
    _write(path, text)
    return text


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as exc:
        raise FileInaccessible(f"{ADMIN_KEY_FILE} in the data directory cannot be read") from exc


def _write(path: Path, text: str) -> None:
    """Write beside and rename, so that a reader never sees half a key nor a file others may read."""
    beside = path.with_suffix(".new")
    try:
        beside.unlink(missing_ok=True)
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text + "\n")
        beside.replace(path)
    except OSError as exc:
        raise FileInaccessible(f"{ADMIN_KEY_FILE} cannot be written into the data directory") from exc
