"""What one transaction of the resolve path is about: its commands, and what else has to be looked at.

Invariant: values of one attempt; a new attempt begins with new ones.
Elsewhere: who fills them in (`identity.admit`, `identity.attempt`), who writes them (`identity.effects`).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from identity.decide import Standing
from identity.judge import JudgementFact
from identity.model import Cause, RecordRef
from identity.prepare import PreparedCommand
from identity.region import Node, PartedComponent
from identity.store import RecordRow
from matching.errors import SameasError

__all__ = ["BeginAnew", "Change", "PartedGroup", "Seeds"]


class BeginAnew(Exception):
    """Something came in between two reads that is not locked: run the transaction again."""


@dataclass(slots=True)
class Seeds:
    """What has to be looked at again though no statement about it came in."""

    refs: frozenset[RecordRef] = frozenset()
    keys: frozenset[int] = frozenset()
    holders_extra: int = 0  # how many profiles beyond the limit may hold one of `keys`
    new_facts: tuple[JudgementFact, ...] = ()
    withdrawn_judgements: frozenset[str] = frozenset()
    withdrawn_by: str = ""
    settled: tuple[tuple[str, int], ...] = ()  # rows of `unsettled` that this settles
    cause: Cause | None = None

    @property
    def judges(self) -> bool:
        """True when judgements are made or withdrawn."""
        return bool(self.new_facts or self.withdrawn_judgements)


@dataclass(slots=True)
class Change:
    """One command of the batch with what it changes."""

    prepared: PreparedCommand
    row: RecordRow | None
    standing: Standing | None
    error: SameasError | None = None
    rid: int = 0
    vid: int = 0
    pid: int | None = None
    target: RecordRef | None = None
    is_new_profile: bool = False
    moves: bool = False
    is_kept_older: bool = False  # an older version that was not recorded yet
    is_remembered: bool = False  # the same content under a greater number or time
    judgement: JudgementFact | None = None

    @property
    def ref(self) -> RecordRef:
        """The record's name."""
        return self.prepared.command.ref

    @property
    def applies(self) -> bool:
        """True when the command becomes the record's current version."""
        return self.error is None and self.standing is Standing.NEWER

    @property
    def was_live(self) -> bool:
        """True when the record was live before the batch."""
        return self.row is not None and self.row.pid is not None

    @property
    def renames(self) -> bool:
        """True when the command ends the record under this key, because it goes on under another one."""
        return self.applies and self.prepared.command.renamed_to is not None

    @property
    def backdates(self) -> bool:
        """True when the statement takes effect before the first `valid_from` of its record."""
        effective_at = self.prepared.command.effective_at
        return (
            self.row is not None
            and effective_at is not None
            and effective_at < self.row.first_valid_from
            and (self.applies or self.is_kept_older)
        )


@dataclass(slots=True)
class PartedGroup:
    """Components that the batch connects, parted anew; `changes` are those that touched them."""

    nodes: list[Node] = field(default_factory=list)
    rows_before: list[RecordRow] = field(default_factory=list)
    components: list[PartedComponent] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
