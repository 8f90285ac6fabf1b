"""What keys that too many hold skipped, counted by blocking rule (all else of the census: `tests.promises`)."""

from __future__ import annotations

from collections import Counter

from identity.census import KeyRules
from identity.service import Identity
from matching.block import compile_blocker, compile_revealer
from matching.model import Profile
from tests.identity.stores import stated, tell, withdrawn
from tests.matching.profiles import make_profile
from tests.promises.small_model import NUMBERS, small_model

MAX = NUMBERS.holders_max
HASH_KEY = b"sixteen bytes at least"


def test_a_key_that_too_many_hold_is_counted_under_its_rule_for_each_record_that_brings_it(
    identity: Identity,
) -> None:
    tell(identity, *(stated(str(n), email=("ann",), place=f"p{n}") for n in range(MAX)))
    assert not identity.resolver.keys_unusable

    tell(identity, stated("x", email=("ann",), city=("ulm",)), stated("y", email=("ann", "bob")))
    tell(identity, stated("z", email=("bob",), city=("ulm",)))

    assert identity.resolver.keys_unusable == {"email": 2}


def test_rules_are_told_apart_and_batches_make_no_difference(identity: Identity) -> None:
    everyone = [stated(str(n), email=("ann",), city=("ulm",), place=f"p{n}") for n in range(MAX)]
    tell(identity, *everyone, stated("x", email=("ann",), place="x"), stated("y", city=("ulm",), place="y"))
    together = Counter(identity.resolver.keys_unusable)
    identity.resolver.keys_unusable.clear()

    tell(identity, stated("s", email=("ann",), city=("ulm",), place="s"))
    tell(identity, stated("t", email=("ann",), city=("ulm",), place="t"))

    assert together == {"email": MAX + 1, "city": MAX + 1}
    assert identity.resolver.keys_unusable == {"email": 2, "city": 2}


def test_a_record_that_moves_to_a_stored_profile_is_counted_with_the_rule_of_that_profile(
    identity: Identity,
) -> None:
    tell(identity, *(stated(str(n), email=("ann",), place=f"p{n}") for n in range(MAX + 1)))
    identity.resolver.keys_unusable.clear()

    tell(identity, stated("other", email=("ann",), place="p0"))

    assert identity.resolver.keys_unusable == {"email": 1}


def test_what_stores_nothing_or_brings_no_key_is_not_counted(identity: Identity) -> None:
    tell(identity, *(stated(str(n), email=("ann",), place=f"p{n}") for n in range(MAX + 2)))
    identity.resolver.keys_unusable.clear()

    identity.resolve([stated("x", email=("ann",), place="x")], dry_run=True)
    tell(identity, stated("0", email=("ann",), place="p0"))
    tell(identity, withdrawn("1"))

    assert not identity.resolver.keys_unusable


def test_a_rule_is_derived_once_for_a_key_and_nothing_but_the_rule_is_kept() -> None:
    model = small_model()
    profile = make_profile(emails=("ann@web.de",))
    [key] = compile_blocker(model, hash_key=HASH_KEY)(profile)
    reveal = compile_revealer(model, hash_key=HASH_KEY)
    asked: list[Profile] = []

    def noted(one: Profile) -> dict[int, tuple[str, str]]:
        asked.append(one)
        return reveal(one)

    rules = KeyRules(noted)

    assert rules.recall(key) is None
    assert rules.find(key, profile) == "email"
    assert rules.recall(key) == "email"
    assert len(asked) == 1
    assert "ann" not in repr(vars(rules) | {"_reveal": None})
