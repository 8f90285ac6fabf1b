"""Run the example in a temporary directory: `python -m examples.acquisition [--customers 100000]`."""

from __future__ import annotations

import argparse
import tempfile
from functools import partial
from pathlib import Path

from examples.acquisition.story import play
from examples.rig import run_story


def main(customers: int) -> None:
    """Run the example; nothing of it is left."""
    with tempfile.TemporaryDirectory(prefix="sameas-example-") as home:
        play(Path(home), customers=customers)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="An acquisition: foreseen, applied, taken back.")
    parser.add_argument("--customers", type=int, default=100_000, help="records of the ERP (100,000)")
    raise SystemExit(run_story(partial(main, parser.parse_args().customers)))
