"""Who asks, and of whose records."""

from __future__ import annotations

import pytest

from identity.api.caller import Caller
from identity.api.errors import SourceForbidden


def test_an_unbound_caller_sees_all_sources() -> None:
    caller = Caller("k_1", frozenset({"read"}))

    caller.check_sources(("crm", "erp"))

    assert caller.sees("anything")
    assert caller.author == "key:k_1"


def test_a_bound_caller_sees_its_own_sources_only() -> None:
    caller = Caller("k_1", frozenset({"read"}), frozenset({"crm"}))

    caller.check_sources(("crm",))

    assert caller.sees("crm")
    assert not caller.sees("erp")
    with pytest.raises(SourceForbidden):
        caller.check_sources(("crm", "erp"))
