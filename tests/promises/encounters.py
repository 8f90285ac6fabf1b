"""Count the hard cases that a run met, from the books of its world alone.

A test of the partition that never meets them proves little, so each run asserts that it did.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import combinations

from identity.model import Outcome, RecordAnswer
from tests.promises.small_model import NUMBERS, is_apart
from tests.promises.world import ONE_EACH, Command, Judge, State, World

__all__ = ["HARD_CASES", "Encounters"]

HARD_CASES = (
    "a key became too common",
    "a key became usable again",
    "an update crossed the limit",
    "a withdrawal crossed the limit",
    "a component became too large",
    "a component too large shrank again",
    "a tie at the clip was decided by a constraint",
    "a late older version",
    "a record was withdrawn and returned",
    "a same without a link",
    "a different between linked records",
    "evidence linked two records",
)


class Encounters:
    """What one or more runs met."""

    def __init__(self) -> None:
        self.met: Counter[str] = Counter()
        self._usable: set[object] = set()
        self._held: set[object] = set()
        self._is_oversized = False

    def begin(self) -> None:
        """Begin a new run."""
        self._usable, self._held, self._is_oversized = set(), set(), False

    def note(self, world: World, command: Command, answers: Sequence[object]) -> None:
        """Note what the command did, after it was told."""
        answer = answers[0]
        if isinstance(command, State) and isinstance(answer, RecordAnswer):
            told = world.told[command.name]
            if answer.outcome is Outcome.STALE:
                self.met["a late older version"] += 1
            statements = [one.statement is None for one in told]
            if (
                len(told) > 2
                and command.statement is not None
                and statements[-2]
                and not all(statements[:-2])
            ):
                self.met["a record was withdrawn and returned"] += command.name in world.current()
        self._note_keys(world, command)
        self._note_components(world)
        self._note_pairs(world, command)

    def missing(self) -> list[str]:
        """Return the hard cases that were not met."""
        return [case for case in HARD_CASES if not self.met[case]]

    def _note_keys(self, world: World, command: Command) -> None:
        records = world.records()
        usable = set(world.usable_keys())
        held = {key for record in records for key in record.keys}
        up = (self._usable & held) - usable
        down = (usable & self._held) - self._usable
        self.met["a key became too common"] += bool(up)
        self.met["a key became usable again"] += bool(down)
        if (up or down) and isinstance(command, State):
            if command.statement is None:
                self.met["a withdrawal crossed the limit"] += 1
            elif len(world.told.get(command.name, ())) > 1:
                self.met["an update crossed the limit"] += 1
        self._usable, self._held = usable, held

    def _note_components(self, world: World) -> None:
        is_oversized = any(component.level != 0 for component in world.expected_components())
        self.met["a component became too large"] += is_oversized and not self._is_oversized
        self.met["a component too large shrank again"] += self._is_oversized and not is_oversized
        self._is_oversized = is_oversized

    def _note_pairs(self, world: World, command: Command) -> None:
        records = world.records()
        usable = world.usable_keys()
        weights = {
            frozenset((one.name, other.name)): world.weigh(one, other)
            for one, other in combinations(records, 2)
        }
        for pair in world.evidence():
            self.met["evidence linked two records"] += weights[pair] >= NUMBERS.thresholds[0]
        by_name = {record.name: record for record in records}
        if isinstance(command, Judge):
            for left in command.left:
                for right in command.right:
                    if left == right or left not in by_name or right not in by_name:
                        continue
                    one, other = by_name[left], by_name[right]
                    is_linked = weights[frozenset((left, right))] >= NUMBERS.thresholds[0] and bool(
                        one.keys & other.keys & set(usable)
                    )
                    if command.verdict == "same" and not is_linked:
                        self.met["a same without a link"] += 1
                    if command.verdict == "different" and is_linked:
                        self.met["a different between linked records"] += 1
        if self.met["a tie at the clip was decided by a constraint"]:
            return
        for middle in records:
            at_clip = [
                other
                for other in records
                if other is not middle and weights[frozenset((middle.name, other.name))] >= NUMBERS.clip
            ]
            for one, other in combinations(at_clip, 2):
                is_one_each = one.source == other.source == ONE_EACH
                if (is_apart(one, other) or is_one_each) and world.expected() != world.expected(
                    is_apart_now=False
                ):
                    self.met["a tie at the clip was decided by a constraint"] += 1
                    return
