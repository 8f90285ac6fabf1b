"""The errors of identity, drawn from the root in `matching.errors`.

Invariant: messages name sources, keys, CIDs, versions and judgements only; a key of a source whose
keys are personal never reaches a message (`service` renders those routes without it).
Elsewhere: the HTTP status of each category (`service.problems`); all codes in `docs/errors.md`.

    SameasError
      * IdentityError
        + NotFound
          - SourceUnknown, RecordUnknown, CidUnknown, JudgementUnknown, SubscriberUnknown
        + Conflict
          - VersionConflict, JudgementConflict, ContractConflict, IdempotencyConflict, CustomerExists,
            CursorMoved
        + Refused
          - StatementRefused, EffectiveInFuture, KnownAtInFuture, KeyRefused, ContractRefused,
            JudgementRefused, SourceRetired, WithdrawalsRefused
        + Unavailable
          - HorizonNotReached, StoreBusy, StoreUnreachable, StoreFull, StoreMigrating,
            ExportUnwritable
        + StoreRefused          the store cannot be used safely as it is
        + InvariantBroken       a promise would be broken; nothing was committed
"""

from __future__ import annotations

from matching.errors import Category, SameasError

__all__ = [
    "CidUnknown",
    "Conflict",
    "ContractConflict",
    "ContractRefused",
    "CursorMoved",
    "CustomerExists",
    "EffectiveInFuture",
    "ExportUnwritable",
    "HorizonNotReached",
    "IdempotencyConflict",
    "IdentityError",
    "InvariantBroken",
    "JudgementConflict",
    "JudgementRefused",
    "JudgementUnknown",
    "KeyRefused",
    "KnownAtInFuture",
    "NotFound",
    "RecordUnknown",
    "Refused",
    "SourceRetired",
    "SourceUnknown",
    "StatementRefused",
    "StoreBusy",
    "StoreFull",
    "StoreMigrating",
    "StoreRefused",
    "StoreUnreachable",
    "SubscriberUnknown",
    "Unavailable",
    "VersionConflict",
    "WithdrawalsRefused",
]


class IdentityError(SameasError):
    """An error of the identity package."""


class NotFound(IdentityError):
    """What was named does not exist here."""

    category = Category.NOT_FOUND
    code = "not_found"


class SourceUnknown(NotFound):
    """No contract was ever registered under this source name."""

    code = "unknown_source"


class RecordUnknown(NotFound):
    """The source never stated a record under this key."""

    code = "unknown_record"


class CidUnknown(NotFound):
    """This CID was never issued here."""

    code = "unknown_cid"


class JudgementUnknown(NotFound):
    """No judgement in force has this id."""

    code = "unknown_judgement"


class SubscriberUnknown(NotFound):
    """The API key has no subscriber of this name."""

    code = "unknown_subscriber"


class Conflict(IdentityError):
    """The command contradicts what is recorded."""

    category = Category.CONFLICT
    code = "conflict"


class VersionConflict(Conflict):
    """This version of the record is already recorded with other content."""

    code = "version_conflict"


class JudgementConflict(Conflict):
    """The judgement contradicts judgements in force of its own or a higher class."""

    code = "judgement_conflict"


class ContractConflict(Conflict):
    """The contract would break what the contract in force promised."""

    code = "contract_conflict"


class IdempotencyConflict(Conflict):
    """The idempotency key was used before with another request."""

    code = "idempotency_conflict"


class CustomerExists(Conflict):
    """The source already has a record of this customer."""

    code = "customer_exists"


class CursorMoved(Conflict):
    """The subscriber's place is not where the request believes it to be."""

    code = "cursor_moved"


class Refused(IdentityError):
    """The input breaks a rule; nothing was stored."""

    category = Category.INCORRECT
    code = "refused"


class StatementRefused(Refused):
    """A record statement has a wrong shape."""

    code = "statement_invalid"


class EffectiveInFuture(Refused):
    """`effective_at` is more than a minute ahead of the clock."""

    code = "effective_in_future"


class KnownAtInFuture(Refused):
    """`known_at` is ahead of the clock."""

    code = "known_at_in_future"


class KeyRefused(Refused):
    """A key is empty, too long, or breaks the source's key pattern."""

    code = "key_invalid"


class ContractRefused(Refused):
    """A source contract has a wrong shape."""

    code = "contract_invalid"


class JudgementRefused(Refused):
    """A judgement names too few records, or a record on both sides."""

    code = "judgement_invalid"


class SourceRetired(Conflict):
    """The source was retired as a whole; it takes no more statements."""

    code = "source_retired"


class WithdrawalsRefused(Conflict):
    """A snapshot would withdraw a larger share of the source than allowed."""

    code = "withdrawals_refused"


class Unavailable(IdentityError):
    """Not now; the same call can succeed later."""

    category = Category.UNAVAILABLE
    code = "unavailable"
    retryable = True


class HorizonNotReached(Unavailable):
    """A write that began before `known_at` has not ended within two seconds."""

    code = "horizon_not_reached"


class StoreBusy(Unavailable):
    """The store's write lock was not to be had in time."""

    code = "store_busy"


class StoreUnreachable(Unavailable):
    """The store does not answer."""

    code = "store_unreachable"


class StoreFull(Unavailable):
    """The store's disk is full; nothing of the batch was stored."""

    code = "store_full"


class StoreMigrating(Unavailable):
    """The store is being migrated, or its tables are older than this program."""

    code = "store_migrating"


class ExportUnwritable(Unavailable):
    """A file to export to cannot be written; what stood under its name is untouched."""

    code = "export_unwritable"


class StoreRefused(IdentityError):
    """The store cannot be used safely: an affected SQLite, tables of a newer program, a wrong key."""

    code = "store_refused"


class InvariantBroken(IdentityError):
    """A promise would have been broken; the transaction was rolled back."""

    code = "invariant_broken"
