"""Compile a scoring model to one Python function that numbers the levels of a pair.

Invariant: the function finds for each comparison the first of its levels that holds, as the document states
it, and adds up the pattern and the term steps as `weigher` reads them.

How it is fast: one straight line of code without a loop over comparisons; what two levels ask for (the
similarity of two names at two thresholds) is worked out once (`matching.compare`); a level is tested only
where a record on each side has the comparison's columns. Nothing is remembered for the next pair: two values
seldom meet again, so looking an answer up costs more than it saves, and it would hold personal data.
Elsewhere: the measures (`matching.compare`), the document (`matching.scoring_model`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from matching.compare import NATIVE_FUNCTIONS, NOTHING_KNOWN, ExpressionWriter, express
from matching.model import PROFILE_COLUMNS, Profile, column_position
from matching.score.terms import TermSteps
from matching.score.weigher import PatternWeigher
from matching.scoring_model import Comparison, ScoringModel

__all__ = ["FindPattern", "compile_pattern"]

FindPattern = Callable[[Profile, Profile], tuple[int, int]]
"""Gives the numbered levels and the packed term steps of a pair."""

_HASHED_STEPS_MAX: Final = 1 << 14


def compile_pattern(model: ScoringModel, weigher: PatternWeigher, *, hash_key: bytes) -> FindPattern:
    """Return the function of a model.

    Args:
        hash_key: needed only by models that list rare values under a keyed hash.
    """
    namespace: dict[str, Any] = dict(NATIVE_FUNCTIONS)
    namespace |= {f"words_{name}": frozenset(words) for name, words in model.vocabulary.items()}
    steps = _TermLines(model, weigher, hash_key, namespace)
    writer = ExpressionWriter(
        express(level.condition, present=_present(comparison))
        for comparison in model.comparisons
        for level in comparison.levels
        if level.condition is not None
    )
    body: list[str] = []
    for comparison, radix in zip(model.comparisons, weigher.radices, strict=True):
        body += _comparison_lines(comparison, radix, writer, steps)
    width = range(len(PROFILE_COLUMNS))
    lines = [
        "def find_pattern(left, right):",
        f"    {', '.join(f'a{position}' for position in width)} = left",
        f"    {', '.join(f'b{position}' for position in width)} = right",
        f"    pattern, terms = 0, {weigher.no_terms}",
        *([f"    {' = '.join(writer.doubtful_names)} = None"] if writer.doubtful_names else []),
        *body,
        "    return pattern, terms",
    ]
    # Names and numbers in the text come from a validated document only.
    exec(compile("\n".join(lines), "<scoring model>", "exec"), namespace)  # noqa: S102
    compiled: FindPattern = namespace["find_pattern"]
    return compiled


def _present(comparison: Comparison) -> frozenset[str]:
    """Return the columns that both sides are known to have where the comparison is made."""
    return frozenset(comparison.columns) if len(comparison.columns) == 1 else frozenset()


def _comparison_lines(
    comparison: Comparison, radix: int, writer: ExpressionWriter, steps: _TermLines
) -> list[str]:
    positions = [column_position(name) for name in comparison.columns]
    sides = [" or ".join(f"{side}{position} is not None" for position in positions) for side in "ab"]
    lines = [f"    if ({sides[0]}) and ({sides[1]}):"]
    known = NOTHING_KNOWN
    for position, level in enumerate(comparison.levels):
        if level.condition is None:
            lines.append("        else:")
        else:
            written = writer.write(express(level.condition, present=_present(comparison)), known)
            known = written.if_false
            lines.append(f"        {'elif' if position else 'if'} {written.text}:")
        lines.append(f"            pattern += {(position + 1) * radix}")
        lines += steps.lines(comparison, position)
    return lines


class _TermLines:
    """Writes the look-ups of term frequencies, and puts the tables they need into the namespace."""

    def __init__(
        self, model: ScoringModel, weigher: PatternWeigher, hash_key: bytes, namespace: dict[str, Any]
    ) -> None:
        self._model = model
        self._weigher = weigher
        self._hash_key = hash_key
        self._namespace = namespace

    def lines(self, comparison: Comparison, position: int) -> list[str]:
        """Return the lines that add the term steps of a level, none for a level without."""
        terms = comparison.levels[position].terms
        if terms is None:
            return []
        table = self._model.term_tables[terms.table]
        steps = TermSteps(table, terms.percent, self._hash_key)
        name = f"steps_{comparison.name}_{position}"
        # Rare values under a keyed hash are looked up through it; without any, one dictionary look-up is enough.
        find = lru_cache(maxsize=_HASHED_STEPS_MAX)(steps.find) if table.hashed else steps.listed.get
        self._namespace[name] = find
        rarest = "" if table.hashed else f", {steps.rarest}"
        column = column_position(terms.column)
        return [
            f"            s, t = {name}(a{column}{rarest}), {name}(b{column}{rarest})",
            f"            terms += (s if s < t else t) * {self._weigher.term_radix(comparison.name)}",
        ]
