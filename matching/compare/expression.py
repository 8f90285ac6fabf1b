"""Write Python expressions in which whatever is asked for twice is worked out once.

An expression is a small tree: plain text, `AllOf`, `AnyOf`, `Not`, or `Asked`, a text with holes for costly
parts. A part is remembered under its own text, so the same part in another expression is the same part.
Invariant: what is written has the truth value of the tree read from left to right with `and`, `or`, `not`;
remembering only saves time. Costly parts have no side effects and are never None.
Elsewhere: which expressions a measure is made of (`texts`, `lists`), the function they end up in
(`matching.score.pattern`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

__all__ = ["NOTHING_KNOWN", "AllOf", "AnyOf", "Asked", "Expression", "ExpressionWriter", "Not", "Written"]


@dataclass(frozen=True, slots=True)
class Asked:
    """A text in which each `{}` stands for a costly part: `Asked("{} >= 2", ("shared_count(a13, b13)",))`.

    All parts are worked out whenever the text is: it holds no `and`, `or`, `if` or chained comparison.
    """

    text: str
    parts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AllOf:
    """All of the expressions hold."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """One of the expressions holds."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The expression does not hold."""

    part: Expression


Expression = str | Asked | AllOf | AnyOf | Not

NOTHING_KNOWN: Final[frozenset[str]] = frozenset()


class Written(NamedTuple):
    """Python text, and which costly parts have certainly been worked out when it was true, or false."""

    text: str
    if_true: frozenset[str]
    if_false: frozenset[str]


class ExpressionWriter:
    """Writes the expressions of one function, in the order in which they stand in it."""

    def __init__(self, expressions: Iterable[Expression]) -> None:
        counts = Counter(part for expression in expressions for part in _iter_parts(expression))
        repeated = [part for part, count in counts.items() if count > 1]
        self._names = {part: f"v{number}" for number, part in enumerate(repeated)}
        self._met: set[str] = set()
        self._doubtful: set[str] = set()

    @property
    def doubtful_names(self) -> list[str]:
        """The variables that are asked whether they are None, and so have to start as that."""
        return [name for part, name in self._names.items() if part in self._doubtful]

    def write(self, expression: Expression, known: frozenset[str] = NOTHING_KNOWN) -> Written:
        """Return the expression as text; `known` are the parts that have certainly been worked out before."""
        if isinstance(expression, str):
            return Written(expression, known, known)
        if isinstance(expression, Asked):
            return self._write_asked(expression, known)
        if isinstance(expression, Not):
            text, if_true, if_false = self.write(expression.part, known)
            return Written(f"(not {text})", if_false, if_true)
        is_all = isinstance(expression, AllOf)
        texts = []
        leaving: list[frozenset[str]] = []
        for part in expression.parts:
            written = self.write(part, known)
            texts.append(written.text)
            known, left = written[1:] if is_all else (written.if_false, written.if_true)
            leaving.append(left)
        text = "(" + (" and " if is_all else " or ").join(texts) + ")"
        early = frozenset.intersection(*leaving)
        return Written(text, known, early) if is_all else Written(text, early, known)

    def _write_asked(self, asked: Asked, known: frozenset[str]) -> Written:
        texts = []
        for part in asked.parts:
            name = self._names.get(part)
            if name is None:
                texts.append(part)
            elif part in known:
                texts.append(name)
            elif part in self._met:
                self._doubtful.add(part)
                texts.append(f"({name} if {name} is not None else ({name} := {part}))")
            else:
                self._met.add(part)
                texts.append(f"({name} := {part})")
            if name is not None:
                known |= {part}
        return Written(f"({asked.text.format(*texts)})", known, known)


def _iter_parts(expression: Expression) -> Iterator[str]:
    if isinstance(expression, Asked):
        yield from expression.parts
    elif isinstance(expression, Not):
        yield from _iter_parts(expression.part)
    elif not isinstance(expression, str):
        for part in expression.parts:
            yield from _iter_parts(part)
