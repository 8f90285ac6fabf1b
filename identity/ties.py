"""Know which records are tied by words rather than by weights: judgements, and `same_as` as evidence.

Invariant: what is returned is what will be in force when the transaction ends: what the batch brings
counts, what it ends does not.
Elsewhere: which judgements bind (`identity.judge`), what they do to a region (`identity.region`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from identity.change import Change, Seeds
from identity.judge import Bindings, JudgementFact, bindings
from identity.model import RecordRef
from identity.prepare import Hasher
from identity.region import Node, pair_of
from identity.store import JudgementRow, NamedRow, Question, WriteTransaction

__all__ = ["LoadedTies", "Ties"]


class LoadedTies(NamedTuple):
    """What ties some nodes: pairs of rids that evidence names, and the judgements that bind."""

    evidence: set[tuple[int, int]]
    binding: Bindings | None


class Ties:
    """The ties of one transaction."""

    def __init__(self, tx: WriteTransaction, hasher: Hasher, *, changes: list[Change], seeds: Seeds) -> None:
        self.ended: set[str] = set(seeds.withdrawn_judgements)
        self._tx = tx
        self._hasher = hasher
        self._changes = changes
        self._seeds = seeds
        self._named: dict[RecordRef, list[NamedRow]] = {}
        self.renamed: dict[RecordRef, RecordRef] = {}  # old name to new one
        self.moved_names: list[tuple[NamedRow, RecordRef]] = []  # who names an old one, and the new one
        self._old_name: dict[RecordRef, RecordRef] = {}

    def ask_names(self, refs: Iterable[RecordRef]) -> Question[list[NamedRow]]:
        """Ask who names these records; what is answered goes to `take_names`."""
        return self._tx.ask_named([self._hasher.ref_hash(ref) for ref in set(refs)])

    def take_names(self, refs: Iterable[RecordRef], rows: Iterable[NamedRow]) -> set[RecordRef]:
        """Remember who names these records; return every record of the judgements that do."""
        asked, rows = set(refs), list(rows)
        self._named = {}
        for row in rows:
            if row.ref in asked:
                self._named.setdefault(row.ref, []).append(row)
        judged = {row.judgement_id for row in rows if row.judgement_id}
        return {ref for row in self._tx.read_judgements(judged) for ref in (*row.left, *row.right)}

    def follow(self, renamed: Mapping[RecordRef, RecordRef]) -> None:
        """From now on what is said of an old name is said of the new one."""
        self.renamed = dict(renamed)
        self._old_name = {new: old for old, new in renamed.items()}
        for old, new in renamed.items():
            rows = self._named.pop(old, [])
            self.moved_names.extend((row, new) for row in rows)
            if rows:
                self._named.setdefault(new, []).extend(row._replace(ref=new) for row in rows)
        for change in self._changes:
            if change.target is not None and change.target in renamed:
                change.target = renamed[change.target]
                if change.judgement is not None:
                    change.judgement = replace(change.judgement, right=(change.target,))

    def named(self, ref: RecordRef) -> list[NamedRow]:
        """Return who named this record of the batch before it."""
        return self._named.get(ref, [])

    def is_named(self, ref: RecordRef) -> bool:
        """True when a judgement or a statement named this record of the batch before it."""
        return ref in self._named

    def find_partners(self, moving: Sequence[Change], seed_rids: Collection[int]) -> list[list[RecordRef]]:
        """Return groups of records that a tie of a moving record or of a seed connects, now or before."""
        partners = [[change.ref, change.target] for change in moving if change.target is not None]
        partners.extend([*fact.left, *fact.right] for fact in self._seeds.new_facts)
        refs = {change.ref for change in moving} | self._seeds.refs
        rows = [row for ref in refs for row in self._named.get(ref, ())]
        stating = {row.stating_rid: row.ref for row in rows if not row.judgement_id}
        partners.extend([row.ref, stating[row.rid]] for row in self._tx.read_records_by_rid(stating))
        judged = {row.judgement_id for row in rows if row.judgement_id}
        partners.extend(
            [self._now(ref) for ref in (*row.left, *row.right)] for row in self._tx.read_judgements(judged)
        )
        own = {change.rid for change in moving if change.row is not None and change.row.is_tied}
        stated = self._tx.find_stated(own | set(seed_rids))
        by_rid = {
            row.rid: row.ref for row in self._tx.read_records_by_rid({row.stating_rid for row in stated})
        }
        partners.extend([by_rid[row.stating_rid], row.ref] for row in stated if row.stating_rid in by_rid)
        return partners

    def load(self, nodes: Collection[Node]) -> LoadedTies:
        """Return the evidence between the nodes, and the judgements that bind them."""
        tied = [node for node in nodes if node.is_tied]
        if not tied:
            return LoadedTies(set(), None)
        rids = {node.rid for node in nodes}
        by_ref = {node.ref: node.rid for node in nodes}
        evidence = {
            pair_of(rid, by_ref[ref])
            for rid, ref in self._list_evidence(tied)
            if rid in rids and ref in by_ref
        }
        facts = self.load_facts([node.ref for node in tied])
        return LoadedTies(evidence, bindings(facts, by_ref.keys()) if facts else None)

    def find_tied(self, node: Node) -> tuple[set[RecordRef], list[JudgementFact]]:
        """Return the records that evidence ties to one record, and the judgements it is chained to."""
        pairs = self._list_evidence([node])
        stating = {rid for rid, ref in pairs if ref == node.ref}
        refs = {ref for rid, ref in pairs if rid == node.rid}
        refs.update(row.ref for row in self._tx.read_records_by_rid(stating))
        refs.update(change.ref for change in self._changes if change.rid in stating)
        return refs - {node.ref}, self.load_facts([node.ref])

    def load_facts(self, refs: Iterable[RecordRef]) -> list[JudgementFact]:
        """Return every judgement in force after the batch that names one of these records, or is chained to one."""
        fresh = [*self._seeds.new_facts, *(change.judgement for change in self._changes if change.judgement)]
        facts: dict[str, JudgementFact] = {}
        waiting = set(refs)
        seen: set[RecordRef] = set()
        while waiting:
            seen |= waiting
            rows = self._tx.find_named(self._hash_names(waiting))
            ids = {row.judgement_id for row in rows if row.judgement_id}
            found = [self._as_fact(row) for row in self._tx.read_judgements(ids - facts.keys() - self.ended)]
            found.extend(
                fact
                for fact in fresh
                if fact.id not in facts and not waiting.isdisjoint((*fact.left, *fact.right))
            )
            facts.update((fact.id, fact) for fact in found)
            waiting = {ref for fact in found for ref in (*fact.left, *fact.right)} - seen
        return list(facts.values())

    def _list_evidence(self, nodes: Collection[Node]) -> list[tuple[int, RecordRef]]:
        """Return (rid of who states it, record named) of all evidence that touches the nodes."""
        replaced = {change.rid for change in self._changes if change.applies}
        refs = {node.ref for node in nodes}
        rids = {node.rid for node in nodes}
        rows = self._tx.find_named(self._hash_names(refs))
        rows.extend(self._tx.find_stated(rids))
        pairs = [
            (row.stating_rid, self._now(row.ref))
            for row in rows
            if not row.judgement_id and row.stating_rid not in replaced
        ]
        pairs.extend(
            (change.rid, change.target)
            for change in self._changes
            if change.applies
            and change.judgement is None
            and change.target is not None
            and (change.target in refs or change.rid in rids)
        )
        return pairs

    def _now(self, ref: RecordRef) -> RecordRef:
        """Return the name that a record has after the batch."""
        return self.renamed.get(ref, ref)

    def _hash_names(self, refs: Iterable[RecordRef]) -> list[int]:
        """Return the hashes under which the store may name these records: the old name of a renamed one too."""
        names = set(refs)
        names.update(self._old_name[ref] for ref in list(names) if ref in self._old_name)
        return [self._hasher.ref_hash(ref) for ref in names]

    def _as_fact(self, row: JudgementRow) -> JudgementFact:
        left, right = (tuple(map(self._now, side)) for side in (row.left, row.right))
        return JudgementFact(row.id, row.verdict, row.judgement_class, left, right, row.author, row.reason)
