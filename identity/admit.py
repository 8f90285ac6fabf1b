"""Lock the records of a batch, decide which statements change anything, and give ids to what is new.

The steps, in the order that makes two writers see each other:
 1. read what is held, unlocked, to know which blocking keys the old versions had and who is named;
 2. lock the names of the records and of who is judged with them, and all old and new blocking keys, sorted;
 3. read again in new statements, sent with the lock in one round trip, and with them all else that these
    locks protect; begin anew if a key or a name came in that is not locked;
 4. decide what each statement is beside what is held; refuse what contradicts judgements in force;
 5. find the pid of each new profile, or give one.

Invariant: what is decided here stands under the locks of step 2; where a record stands in the crosswalk is
read once more under the locks of the components (`identity.attempt`).
Elsewhere: the standing of a version (`identity.decide`), judgements (`identity.judge`, `identity.ties`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from identity.census import Census
from identity.change import BeginAnew, Change, Seeds
from identity.decide import Standing, decide_standing, is_greater
from identity.errors import CidUnknown, JudgementConflict, JudgementUnknown, RecordUnknown, VersionConflict
from identity.judge import JudgementFact, check_judgement
from identity.model import CauseKind, CidTarget, JudgementClass, RecordRef, Verdict
from identity.prepare import Hasher, PreparedCommand
from identity.store import NamedRow, RecordRow, WriteTransaction, known
from identity.ties import Ties
from matching.model import encode_profile

__all__ = ["Admission"]


class Admission:
    """Admits the commands of one transaction."""

    def __init__(
        self, tx: WriteTransaction, *, hasher: Hasher, census: Census, ties: Ties, is_exclusive: bool
    ) -> None:
        self._tx = tx
        self._hasher = hasher
        self._census = census
        self._ties = ties
        self._is_exclusive = is_exclusive
        self.contracts_in_force: Mapping[str, tuple[int, bool]] = {}
        self.model_in_force: str | None = None
        self.is_load_running = False
        self._targets: dict[RecordRef, RecordRef | None] = {}
        self._digests: list[bytes] = []
        self._pids: dict[bytes, int] = {}
        self._floors: dict[str, int] = {}

    def admit(
        self, prepared: Sequence[PreparedCommand], seeds: Seeds, changes: list[Change]
    ) -> dict[RecordRef, RecordRow]:
        """Fill `changes` with one for each command; return the records held of them and of the seeds."""
        held = self._lock(prepared, seeds)
        self._admit_judgements(seeds, held)
        changes.extend(self._decide(one, held.get(one.command.ref)) for one in prepared)
        self._admit_stated_judgements(changes)
        self._give_ids(changes)
        return held

    # -- locks ------------------------------------------------------------------------------------------

    def _lock(self, prepared: Sequence[PreparedCommand], seeds: Seeds) -> dict[RecordRef, RecordRow]:
        tx = self._tx
        if seeds.judges or any(
            one.command.same_as is not None and one.contract.same_as_is_judgement for one in prepared
        ):
            tx.lock_judgements()
        refs = list({*(one.command.ref for one in prepared), *seeds.refs})
        held: dict[RecordRef, RecordRow]
        named: list[NamedRow]
        held, named = tx.at_once(tx.ask_records(refs), self._ties.ask_names(refs))
        wanted, keys = self._list_locks(prepared, seeds, held, self._ties.take_names(refs, named))
        limit = self._census.holders_limit(leaving_max=len(held), extra=seeds.holders_extra)
        self._digests = [
            one.profile_digest
            for one in prepared
            if one.profile_digest is not None and not self._is_held(one, held.get(one.command.ref))
        ]
        has_version = any(one.command.version is not None for one in prepared)
        (
            _,
            held,
            named,
            self._pids,
            holders,
            self.contracts_in_force,
            self.model_in_force,
            self.is_load_running,
            self._floors,
        ) = tx.at_once(
            tx.ask_lock(sorted(wanted)),
            known(held) if self._is_exclusive else tx.ask_records(refs),
            known(named) if self._is_exclusive else self._ties.ask_names(refs),
            tx.ask_pids(self._digests),
            tx.ask_holders(keys, limit=limit),
            tx.ask_contracts_in_force(),
            tx.ask_active_model(),
            tx.ask_load_running(),
            tx.ask_floors() if has_version else known({}),
        )
        self._census.take_holders(keys, holders, limit=limit)
        if not self._is_exclusive:
            names = self._ties.take_names(refs, named)
            if not wanted.issuperset(self._list_locks(prepared, seeds, held, names)[0]):
                raise BeginAnew
        return held

    @staticmethod
    def _is_held(one: PreparedCommand, row: RecordRow | None) -> bool:
        """True when the record is held as the command states it, read by the same contract."""
        return (
            row is not None
            and bytes(row.digest) == one.digest
            and row.contract_version == one.contract.version
        )

    def _list_locks(
        self,
        prepared: Sequence[PreparedCommand],
        seeds: Seeds,
        held: Mapping[RecordRef, RecordRow],
        names: Iterable[RecordRef],
    ) -> tuple[set[int], set[int]]:
        """Return what has to be locked, and the blocking keys among it whose holders may have to be counted."""
        ref_hash = self._hasher.ref_hash
        keys = set(seeds.keys)
        wanted = {one.ref_hash for one in prepared}
        wanted.update(ref_hash(ref) for ref in seeds.refs)
        wanted.update(ref_hash(ref) for ref in names)
        old_pids: set[int] = set()
        for one in prepared:
            row = held.get(one.command.ref)
            target = self._targets[one.command.ref] = self._find_target(one)
            if target is not None:
                wanted.add(ref_hash(target))
            if self._is_held(one, row):
                wanted.update(one.hashes or _profile_lock(one.profile_digest))
                continue
            keys.update(one.hashes)
            if not one.hashes:
                wanted.update(_profile_lock(one.profile_digest))
            if row is not None and row.pid is not None:
                old_pids.add(row.pid)
        for pid, (source, profile) in self._census.read_profiles(old_pids).items():
            if hashes := self._census.keys_of(pid):
                keys.update(hashes)
            else:
                digest = self._hasher.digest(source.encode(), encode_profile(profile))
                wanted.update(_profile_lock(digest))
        return wanted | keys, keys

    def _find_target(self, one: PreparedCommand) -> RecordRef | None:
        same_as = one.command.same_as
        return self._find_bearer(same_as) if isinstance(same_as, CidTarget) else same_as

    def _find_bearer(self, target: CidTarget) -> RecordRef | None:
        """Return the smallest live record of the CID, or of what it stands for now."""
        waiting, seen = [target.cid], set()
        while waiting:
            cid = waiting.pop(0)
            if cid in seen:
                continue
            seen.add(cid)
            ref = self._tx.find_smallest_live_record(cid)
            if ref is not None:
                return ref
            row = self._tx.read_cids([cid]).get(cid)
            if row is not None:
                waiting.extend(row.successors)
        return None

    # -- decisions --------------------------------------------------------------------------------------

    def _admit_judgements(self, seeds: Seeds, held: Mapping[RecordRef, RecordRow]) -> None:
        """Refuse a steward's judgement that names no record or contradicts others, and a second withdrawal."""
        withdrawn = seeds.withdrawn_judgements
        if withdrawn and len(self._tx.read_judgements(withdrawn)) < len(withdrawn):
            raise JudgementUnknown("No judgement in force has this id.")
        for fact in seeds.new_facts:
            refs = (*fact.left, *fact.right)
            if any(ref not in held for ref in refs):
                raise RecordUnknown("The judgement names a record that no source ever stated.")
            in_force = [other for other in self._ties.load_facts(refs) if other.id != fact.id]
            admission = check_judgement(fact, in_force)
            if admission.conflicts:
                raise JudgementConflict(
                    f"The judgement contradicts judgements in force: {', '.join(admission.conflicts)}. "
                    "Withdraw those first, or leave the records as they are."
                )

    def _decide(self, one: PreparedCommand, row: RecordRow | None) -> Change:
        change = Change(one, row, None, rid=row.rid if row else 0)
        command = one.command
        is_below = command.version is not None and command.version < self._floors.get(command.ref.source, 0)
        if row is None and is_below:
            change.standing = Standing.OLDER
        elif row is None:
            if command.is_withdrawal and command.version is None and command.effective_at is None:
                change.error = RecordUnknown(
                    f"Source {one.contract.name} never stated this record, so there is nothing to withdraw; "
                    "give a version or an effective_at to keep a later, older statement out."
                )
            change.standing = Standing.NEWER
        elif one.reread_vid is not None:
            change.standing = Standing.NEWER if one.reread_vid == row.vid else Standing.SAME
        else:
            # Whatever numbers and times say, a statement of this epoch is newer than a version of a former one.
            is_of_former_epoch = row.contract_version < one.contract.epoch_since
            stated = (command.version, command.effective_at, one.digest)
            held = (row.version, row.effective_at, bytes(row.digest))
            change.standing = Standing.NEWER if is_of_former_epoch else decide_standing(stated, held)
            if is_below and change.standing is Standing.NEWER:
                change.standing = Standing.OLDER
            is_read_otherwise = row.contract_version != one.contract.version and not command.is_withdrawal
            if change.standing is Standing.SAME and is_read_otherwise:
                change.standing = Standing.NEWER
            elif change.standing is Standing.SAME:
                change.is_remembered = is_greater(stated, (row.version, row.effective_at, b""))
            elif change.standing is Standing.OLDER:
                self._decide_older(change, row)
            elif change.standing is Standing.CONFLICT and self._is_without_version(one, row):
                change.standing = Standing.NEWER
            if change.standing is Standing.CONFLICT:
                change.error = VersionConflict(
                    f"Version {command.version} of this record of source {one.contract.name} is recorded with "
                    "other content. Send the changed content with a higher version."
                )
        if change.applies:
            self._find_stated_target(change)
        return change

    def _decide_older(self, change: Change, row: RecordRow) -> None:
        command = change.prepared.command
        stated = (command.version, command.effective_at, change.prepared.digest)
        kept = self._tx.list_version_facts(row.rid, read_since=change.prepared.contract.epoch_since)
        if command.version is None:
            change.is_kept_older = stated not in kept
            return
        digests = {digest for number, _, digest in kept if number == command.version}
        change.is_kept_older = not digests
        if digests and change.prepared.digest not in digests:
            change.standing = Standing.CONFLICT

    def _is_without_version(self, one: PreparedCommand, row: RecordRow) -> bool:
        """True for a withdrawal by absence, which has no version of its own, and for the return from one."""
        if one.command.is_withdrawal:
            return row.pid is not None and one.command.cause.kind is not CauseKind.RECORD
        kept = self._tx.list_version_facts(row.rid, read_since=one.contract.epoch_since)
        return row.pid is None and any(
            number == one.command.version and digest == one.digest for number, _, digest in kept
        )

    def _find_stated_target(self, change: Change) -> None:
        target = self._targets[change.ref]
        if change.prepared.command.same_as is None or target == change.ref:
            return
        if target is None:
            change.error = CidUnknown("same_as names a CID that no live record bears; name a record instead.")
        change.target = target

    def _admit_stated_judgements(self, changes: Sequence[Change]) -> None:
        """Turn the `same_as` of trusted sources into judgements, or refuse the statement.

        A record's new version ends the judgement that its old one stated, in the order of the batch.
        """
        tied = [change.rid for change in changes if change.applies and change.row and change.row.is_tied]
        stated: dict[int | None, set[str]] = {}
        for row in self._tx.read_judgements_stated_by(tied):
            stated.setdefault(row.stated_by_rid, set()).add(row.id)
        for number, change in enumerate(changes):
            if not change.applies:
                continue
            own = stated.get(change.rid, set()) if change.rid else set()
            if change.target is not None and change.prepared.contract.same_as_is_judgement:
                fact = JudgementFact(
                    f"same_as in this batch ({number + 1})",
                    Verdict.SAME,
                    JudgementClass.STEWARD,
                    (change.ref,),
                    (change.target,),
                    f"source:{change.prepared.contract.name}",
                    "same_as",
                )
                facts = self._ties.load_facts((change.ref, change.target))
                admission = check_judgement(fact, [other for other in facts if other.id not in own])
                if admission.conflicts:
                    change.error = JudgementConflict(
                        f"same_as contradicts judgements in force: {', '.join(admission.conflicts)}. "
                        "Withdraw those first, or leave same_as out."
                    )
                    continue
                change.judgement = fact
            self._ties.ended |= own

    # -- ids --------------------------------------------------------------------------------------------

    def _give_ids(self, changes: Sequence[Change]) -> None:
        kept = [one for one in changes if one.applies or one.is_kept_older or one.is_remembered]
        if not kept:
            return
        applying = [change for change in kept if change.applies]
        digests = {digest: one for one in applying if (digest := one.prepared.profile_digest) is not None}
        found = {bytes(digest): pid for digest, pid in self._pids.items() if bytes(digest) in digests}
        if unread := digests.keys() - set(self._digests):
            found.update((bytes(digest), pid) for digest, pid in self._tx.find_pids(unread).items())
        ids = iter(self._tx.new_ids(2 * len(kept) + len(digests) - len(found)))
        for digest, change in digests.items():
            if digest not in found:
                found[digest] = next(ids)
                change.is_new_profile = True
                self._census.fresh.add(found[digest])
        for change in kept:
            if change.row is None:
                change.rid = next(ids)
            change.vid = next(ids)
            if change.judgement is not None:
                change.judgement = replace(change.judgement, id=f"same_as-{change.vid}")
        for change in applying:
            one = change.prepared
            if one.profile_digest is not None and one.profile is not None:
                change.pid = found[one.profile_digest]
                self._census.profiles[change.pid] = (change.ref.source, one.profile)
                self._census.hashes[change.pid] = one.hashes
            old_pid = change.row.pid if change.row else None
            had_tie = change.row is not None and change.row.is_tied
            change.moves = change.pid != old_pid or change.target is not None or had_tie


def _profile_lock(digest: bytes | None) -> tuple[int, ...]:
    """Return what a profile without blocking keys is locked by."""
    return () if digest is None else (int.from_bytes(digest[:8], "big", signed=True),)
