"""Store groups of a load that merge or split customers: as the resolver would, by its own naming and effects.

Invariant: every stored record whose CID changes gets its history and its event, every CID that ends its fate, in the
transaction of the slice; a customer that lost its CID takes it back by the same rules as everywhere.
Elsewhere: those rules (`identity.naming`, `identity.effects`), groups that leave customers as they are
(`identity.bulk.write_rows`), what may be written (`identity.bulk.slices`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import orjson

from identity.attempt import Attempt
from identity.change import Change, PartedGroup, Seeds
from identity.decide import Standing
from identity.effects import Effects
from identity.errors import InvariantBroken
from identity.model import Cause, Cid, Instant, Outcome, RecordAnswer, RecordCommand, RecordRef
from identity.prepare import PreparedCommand
from identity.region import Node, PartedComponent

if TYPE_CHECKING:
    from identity.bulk.joining import PartedJoin
    from identity.bulk.new_records import NewRecords
    from identity.bulk.prepared_rows import StoredStatement
    from identity.bulk.write_rows import RowWriter
    from identity.contract import SourceContract
    from identity.matcher import Matcher
    from identity.store_sql.transaction import SqlTransaction

__all__ = ["Mover"]


class Mover:
    """Writes such groups of one load."""

    def __init__(
        self,
        new: NewRecords,
        matcher: Matcher,
        *,
        contract: SourceContract,
        read: Callable[[Sequence[int]], list[StoredStatement]],
        author: str,
        cause: Cause,
        clock: Callable[[], Instant],
        new_cid: Callable[[Instant], Cid],
    ) -> None:
        self._new = new
        self._matcher = matcher
        self._contract = contract
        self._read = read
        self._author = author
        self._cause = cause
        self._clock = clock
        self._new_cid = new_cid

    def write(self, tx: SqlTransaction, joins: Sequence[PartedJoin], writer: RowWriter) -> dict[int, Outcome]:
        """Store the groups, whose stored records are unchanged under the lock; return what each new record met."""
        if not joins:
            return {}
        attempt = Attempt(
            tx,
            matcher=self._matcher,
            contracts={},
            is_exclusive=True,  # by the gate lock
            extra_components=set(),
            seeds=Seeds(),
        )
        changes = self._list_changes(tx, joins, writer)
        attempt.changes.extend(changes.values())
        groups = self._list_groups(tx, joins, changes)
        effects = Effects(attempt, groups, data_keys=tx.sealer, now=self._clock(), new_cid=self._new_cid)
        outcomes: dict[int, Outcome] = {}
        for place, answer in zip(changes, effects.write(), strict=True):
            if not isinstance(answer, RecordAnswer):
                raise InvariantBroken(
                    "A new record of a load was refused in its slice; nothing was committed."
                )
            outcomes[place] = answer.outcome
        return outcomes

    def _list_changes(
        self, tx: SqlTransaction, joins: Sequence[PartedJoin], writer: RowWriter
    ) -> dict[int, Change]:
        places = sorted(place for join in joins for place in join.places)
        ids = iter(tx.new_ids(3 * len(places)))
        changes: dict[int, Change] = {}
        for place, stored in zip(places, self._read(places), strict=True):
            number = int(self._new.profile_of[place])
            is_new_profile = not writer.pids[number]
            if is_new_profile:
                writer.pids[number] = next(ids)
            changes[place] = Change(
                self._prepared(place, stored),
                row=None,
                standing=Standing.NEWER,
                rid=next(ids),
                vid=next(ids),
                pid=int(writer.pids[number]),
                is_new_profile=is_new_profile,
                moves=True,
            )
        return changes

    def _prepared(self, place: int, stored: StoredStatement) -> PreparedCommand:
        assert stored.statement is not None
        ref = RecordRef(self._new.source, self._new.keys[place])
        command = RecordCommand(
            ref,
            orjson.loads(stored.statement)["attributes"],
            version=stored.version,
            effective_at=stored.effective_at,
            author=self._author,
            cause=self._cause,
        )
        return PreparedCommand(
            command=command,
            contract=self._contract,
            ref_hash=self._matcher.preparer.hasher.ref_hash(ref),
            statement=stored.statement,
            digest=stored.digest,
            profile=self._new.open_profile(int(self._new.profile_of[place])),
            encoded_profile=stored.profile,
            profile_digest=stored.profile_digest,
            hashes=tuple(stored.hashes),
            warnings=(),
            model_version=self._matcher.version,
        )

    @staticmethod
    def _list_groups(
        tx: SqlTransaction, joins: Sequence[PartedJoin], changes: dict[int, Change]
    ) -> list[PartedGroup]:
        wanted = {member.component_id for join in joins for member in join.members.values()}
        rows = {row.rid: row for row in tx.read_members(wanted)}
        groups: list[PartedGroup] = []
        for join in joins:
            clusters: list[list[Node]] = []
            for part in join.clusters:
                stored = [rows[rid] for rid in part.rids]
                nodes = [Node(row.rid, row.ref, row.pid or 0, row) for row in stored]
                new = [changes[place] for place in part.places]
                nodes.extend(
                    Node(change.rid, change.ref, change.pid or 0, None, change.prepared) for change in new
                )
                clusters.append(nodes)
            groups.append(
                PartedGroup(
                    nodes=[node for cluster in clusters for node in cluster],
                    rows_before=[rows[rid] for rid in join.members],
                    components=[PartedComponent(0, clusters)],
                    changes=[changes[place] for place in join.places],
                )
            )
        return groups
