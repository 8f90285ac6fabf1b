"""Draw commands for a small world: few keys, few values, so that every limit is crossed in both directions.

A command is made from a number by seeded chance, not by strategies for each part: Hypothesis likes small and
equal values and would seldom fill a key. It still shrinks a failing run, by leaving commands out.
Elsewhere: what a run met of the hard cases (`tests.promises.encounters`).
"""

from __future__ import annotations

import random

from hypothesis import strategies as st

from tests.promises.small_model import Statement
from tests.promises.world import BEGIN, ONE_EACH, TRUSTED, Command, Judge, State, Unjudge

__all__ = ["NAMES", "command_from", "draw_statement", "runs", "versioned_runs"]

NAMES = (
    *[("crm", key) for key in "12345678"],
    *[(ONE_EACH, key) for key in "1234"],
    *[(TRUSTED, key) for key in "123"],
)


def runs(length_min: int, length_max: int) -> st.SearchStrategy[list[Command]]:
    """Draw any commands, in an order that matters."""
    return st.lists(st.integers(0, 10**6).map(command_from), min_size=length_min, max_size=length_max)


def versioned_runs(length_min: int, length_max: int) -> st.SearchStrategy[list[State]]:
    """Draw statements whose order of arrival does not matter: each has a version of its own."""
    return st.lists(st.integers(0, 10**6), min_size=length_min, max_size=length_max, unique=True).map(
        lambda numbers: [_draw_state(random.Random(number), version=number) for number in numbers]
    )


def command_from(number: int) -> Command:
    """Return the command of a number."""
    chance = random.Random(number)
    at = chance.random()
    if at < 0.08:
        verdict = "same" if at < 0.04 else "different"
        return Judge(verdict, tuple(chance.sample(NAMES, chance.choice((1, 1, 2)))), (chance.choice(NAMES),))
    if at < 0.11:
        return Unjudge(chance.randrange(6))
    version = chance.choice((None, None, chance.randrange(30)))
    return _draw_state(chance, version=version)


def _draw_state(chance: random.Random, *, version: int | None) -> State:
    name = chance.choice(NAMES)
    if chance.random() < 0.15:
        return State(name, None, version=version, effective_at=chance.choice((None, None, BEGIN)))
    same_as = chance.choice(NAMES) if chance.random() < 0.1 else None
    effective_at = BEGIN + 1000 * chance.randrange(-50, 150) if chance.random() < 0.3 else None
    statement = draw_statement(chance)
    return State(name, statement, version=version, effective_at=effective_at, same_as=same_as)


def draw_statement(chance: random.Random) -> Statement:
    statement: dict[str, object] = {}
    if chance.random() < 0.75:
        emails = chance.choices(("ann", "ben", "cora"), (6, 3, 1), k=chance.choice((1, 1, 1, 2)))
        statement["email"] = tuple(dict.fromkeys(emails))
    if chance.random() < 0.5:
        cities = chance.choices(("bonn", "ulm", "trier"), k=chance.choice((1, 1, 2)))
        statement["city"] = tuple(dict.fromkeys(cities))
    if chance.random() < 0.25:
        statement["website"] = (chance.choice(("sun", "moon")),)
    if chance.random() < 0.6:
        statement["place"] = chance.choice(("rome", "oslo", "paris"))
    if chance.random() < 0.15:
        statement["kind"] = chance.choice(("person", "organisation"))
    if chance.random() < 0.15:
        statement["loyalty"] = chance.choice(("AA1111", "BB2222"))
    return statement
