"""Tell what forbids a pair of profiles whatever its weight: kinds, exclusive identifiers.

Invariant: symmetric. Exclusive values conflict when both records have some of one scheme (and issuer) and
none of the one is within one typing error of one of the other.
Elsewhere: judgements and one-per-customer sources (`identity`), which also forbid pairs; what a constraint
does (`matching.cluster`).
"""

from __future__ import annotations

from typing import Final

from rapidfuzz.distance import OSA

from matching.model import Profile, column_position

__all__ = ["find_conflict"]

_KIND: Final = column_position("kind")
_IDENTIFIERS: Final = column_position("identifiers")


def find_conflict(left: Profile, right: Profile, exclusive: frozenset[str]) -> str | None:
    """Return the constraint that forbids the pair: `kind`, `exclusive:<scheme>`, or None.

    Args:
        exclusive: schemes; with `@` behind those whose values conflict only where the issuer is stated.
    """
    if left[_KIND] is not None and right[_KIND] is not None and left[_KIND] != right[_KIND]:
        return "kind"
    ours, theirs = left[_IDENTIFIERS], right[_IDENTIFIERS]
    if ours is None or theirs is None or ours == theirs:
        return None
    scheme = _find_exclusion(ours, theirs, exclusive)  # type: ignore[arg-type]
    return f"exclusive:{scheme}" if scheme else None


def _find_exclusion(ours: tuple[str, ...], theirs: tuple[str, ...], exclusive: frozenset[str]) -> str | None:
    by_scheme: dict[str, list[str]] = {}
    for value in ours:
        issued = value.partition(":")[0]
        scheme, _, issuer = issued.partition("@")
        if scheme in exclusive or (issuer and f"{scheme}@" in exclusive):
            by_scheme.setdefault(issued, []).append(value)
    if not by_scheme:
        return None
    close: dict[str, bool] = {}
    for value in theirs:
        issued = value.partition(":")[0]
        if issued in by_scheme:
            close[issued] = close.get(issued, False) or any(
                OSA.distance(value, other, score_cutoff=1) <= 1 for other in by_scheme[issued]
            )
    for issued in sorted(close):
        if not close[issued]:
            return issued.partition("@")[0]
    return None
