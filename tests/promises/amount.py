"""How much of a promise a run tries: modest in continuous integration, more where it was asked for.

`SAMEAS_TEST_SOAK=1` (as `make soak` sets it) multiplies the examples by twenty.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, settings

__all__ = ["SOAK", "examples"]

SOAK = os.environ.get("SAMEAS_TEST_SOAK") == "1"


def examples(count: int) -> Callable[[Any], Any]:
    """Decorate a property with its number of examples; a store is made for each, so none is quick."""
    return settings(
        max_examples=count * (20 if SOAK else 1),
        # Shrinking costs minutes here; a failing run is short enough to be read as it is.
        phases=[Phase.explicit, Phase.reuse, Phase.generate],
        suppress_health_check=[
            HealthCheck.too_slow,
            HealthCheck.data_too_large,
            HealthCheck.large_base_example,
            HealthCheck.function_scoped_fixture,
        ],
    )
