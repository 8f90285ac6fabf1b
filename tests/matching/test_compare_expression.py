"""Written expressions have the truth value of their tree, and no part is worked out twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from matching.compare.expression import (
    NOTHING_KNOWN,
    AllOf,
    AnyOf,
    Asked,
    Expression,
    ExpressionWriter,
    Not,
)

PARTS = tuple(f"look_up({number})" for number in range(4))

_LEAVES = st.one_of(
    st.sampled_from(["True", "False"]),
    st.builds(
        lambda part, limit: Asked(f"{{}} >= {limit}", (part,)), st.sampled_from(PARTS), st.integers(0, 3)
    ),
    st.builds(lambda *parts: Asked("{} + {} > 2", parts), st.sampled_from(PARTS), st.sampled_from(PARTS)),
)
_TREES = st.recursive(
    _LEAVES,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.builds(AllOf, st.lists(inner, min_size=1, max_size=3).map(tuple)),
        st.builds(AnyOf, st.lists(inner, min_size=1, max_size=3).map(tuple)),
    ),
    max_leaves=8,
)


def _judge(expression: Expression, values: Sequence[int]) -> bool:
    """Return the truth value of the tree itself."""
    if isinstance(expression, AllOf):
        return all(_judge(part, values) for part in expression.parts)
    if isinstance(expression, AnyOf):
        return any(_judge(part, values) for part in expression.parts)
    if isinstance(expression, Not):
        return not _judge(expression.part, values)
    text = expression if isinstance(expression, str) else expression.text.format(*expression.parts)
    return bool(eval(text, {"look_up": values.__getitem__}))


def _run(chains: list[list[Expression]], values: Sequence[int]) -> tuple[list[int], Counter[int]]:
    """Return which expression of each chain held first, and how often each part was worked out."""
    writer = ExpressionWriter(expression for chain in chains for expression in chain)
    body = []
    for chain in chains:
        known = NOTHING_KNOWN
        for position, expression in enumerate(chain):
            written = writer.write(expression, known)
            known = written.if_false
            body.append(f"    {'elif' if position else 'if'} {written.text}: found.append({position})")
        body.append("    else: found.append(-1)")
    lines = ["def run(look_up):", "    found = []", *(f"    {name} = None" for name in writer.doubtful_names)]
    namespace: dict[str, object] = {}
    exec("\n".join([*lines, *body, "    return found"]), namespace)
    asked: Counter[int] = Counter()

    def look_up(number: int) -> int:
        asked[number] += 1
        return values[number]

    return namespace["run"](look_up), asked  # type: ignore[operator]


@given(
    st.lists(st.lists(_TREES, min_size=1, max_size=4), min_size=1, max_size=3),
    st.lists(st.integers(0, 3), min_size=4, max_size=4),
)
def test_each_chain_finds_the_first_tree_that_holds_and_asks_each_part_once(
    chains: list[list[Expression]], values: list[int]
) -> None:
    found, asked = _run(chains, values)

    expected = [next((at for at, tree in enumerate(chain) if _judge(tree, values)), -1) for chain in chains]
    assert found == expected
    assert max(asked.values(), default=0) <= 1


def test_what_is_asked_once_only_needs_no_variable() -> None:
    writer = ExpressionWriter([Asked("{} > 1", ("look_up(0)",))])

    assert writer.write(Asked("{} > 1", ("look_up(0)",))).text == "(look_up(0) > 1)"
    assert writer.doubtful_names == []


def test_a_part_that_was_certainly_worked_out_is_not_asked_for_again() -> None:
    first, second = Asked("{} > 1", ("look_up(0)",)), Asked("{} > 2", ("look_up(0)",))
    writer = ExpressionWriter([first, second])

    known = writer.write(first).if_false

    assert writer.write(second, known).text == "(v0 > 2)"
    assert writer.doubtful_names == []
