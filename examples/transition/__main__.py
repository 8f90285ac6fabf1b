"""Run the example in a temporary directory: `python -m examples.transition`."""

from __future__ import annotations

import tempfile
from pathlib import Path

from examples.rig import run_story
from examples.transition.story import play


def main() -> None:
    """Run the example; nothing of it is left."""
    with tempfile.TemporaryDirectory(prefix="sameas-example-") as home:
        play(Path(home))


if __name__ == "__main__":
    raise SystemExit(run_story(main))
