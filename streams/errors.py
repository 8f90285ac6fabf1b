"""The errors of streams, drawn from the root in `matching.errors`.

Invariant: a message names files, columns, rows and byte positions, never a value of a row.
Elsewhere: the HTTP status of each category (`service.problems`); all codes in `docs/errors.md`.

    SameasError
      * StreamsError
        + FileRefused                  nothing of the file was read into the store
          - FileUnreadable, FormatUnknown, HeaderInvalid, ColumnMissing, MappingInvalid
        + RowRefused                   this row only; the rest of the file is kept
          - RowMalformed, RowTooLarge, EncodingInvalid, EncodingUnclear, KeyMissing
        + TooManyRefused               most likely the file is not one of this source
        + FolderUnusable, FolderInUse  a watched folder is not there, or somebody else works on it
        + RejectsUnwritable            the rejects file cannot be written
        + KafkaOptionRefused           a Kafka option is fixed, or librdkafka does not take it
        + KafkaUnreachable             no Kafka broker answers
        + KafkaRefused                 the Kafka cluster refuses what was asked
        + ConnectorInvalid             no connector can be written of what was stated
        + ConnectorRefused             Kafka Connect does not take a connector
        + ConnectUnreachable           Kafka Connect does not answer
        + WorkerStopped                going on would pass over messages
          - MessagesLost, MessageUnreadable
        + PartitionUnknown             no worker has ever taken from it
        + PositionNotReached           something up to there still lacks its CID
        + PositionInvalid              a text is no position in a source's order
        + RejectUnknown, RejectClosed, RejectBehind, RejectUnmendable
        + KafkaFenced                  another producer of our name writes to Kafka now
        + WebhookInvalid               no webhook can be made of what was stated
        + WebhookRefused               a webhook's host is where none may go
        + WebhookUnknown               no webhook has this id
        + WriteBackRefused             CIDs cannot be written to the table that was named
        + WriteBackUnreachable         the source's database does not answer
"""

from __future__ import annotations

from matching.errors import Category, SameasError

__all__ = [
    "ColumnMissing",
    "ConnectUnreachable",
    "ConnectorInvalid",
    "ConnectorRefused",
    "EncodingInvalid",
    "EncodingUnclear",
    "FileRefused",
    "FileUnreadable",
    "FolderInUse",
    "FolderUnusable",
    "FormatUnknown",
    "HeaderInvalid",
    "KafkaFenced",
    "KafkaOptionRefused",
    "KafkaRefused",
    "KafkaUnreachable",
    "KeyMissing",
    "MappingInvalid",
    "MessageUnreadable",
    "MessagesLost",
    "PartitionUnknown",
    "PositionInvalid",
    "PositionNotReached",
    "RejectBehind",
    "RejectClosed",
    "RejectUnknown",
    "RejectUnmendable",
    "RejectsUnwritable",
    "RowMalformed",
    "RowRefused",
    "RowTooLarge",
    "StreamsError",
    "TooManyRefused",
    "WebhookInvalid",
    "WebhookRefused",
    "WebhookUnknown",
    "WorkerStopped",
    "WriteBackRefused",
    "WriteBackUnreachable",
]


class StreamsError(SameasError):
    """An error of the streams package."""


class FileRefused(StreamsError):
    """A file cannot be read as one of records."""

    category = Category.INCORRECT
    code = "file_refused"


class FileUnreadable(FileRefused):
    """A file is not there, may not be read, or ends in the middle."""

    code = "file_unreadable"


class FormatUnknown(FileRefused):
    """A file's format is none of those that are read."""

    category = Category.UNSUPPORTED
    code = "format_unknown"


class HeaderInvalid(FileRefused):
    """The first line of a file does not name its columns."""

    code = "header_invalid"


class ColumnMissing(FileRefused):
    """A column that the mapping needs is not in the file."""

    code = "column_missing"


class MappingInvalid(FileRefused):
    """A mapping names no identity attribute, or one of its paths is not a path."""

    code = "mapping_invalid"


class RowRefused(StreamsError):
    """One row cannot be read; the rest of the file is kept."""

    category = Category.INCORRECT
    code = "row_refused"


class RowMalformed(RowRefused):
    """A row has another shape than its file: not JSON, wrong number of fields, an open quote."""

    code = "row_malformed"


class RowTooLarge(RowRefused):
    """A row is longer than a statement may be."""

    category = Category.TOO_LARGE
    code = "too_large"


class EncodingInvalid(RowRefused):
    """A row (or the header) holds bytes that are not UTF-8."""

    code = "encoding_invalid"


class EncodingUnclear(RowRefused):
    """A number may be a day, a year or a timestamp, and nothing says which; names the column only."""

    code = "encoding_unclear"


class KeyMissing(RowRefused):
    """A row has no value in its key column, or one that cannot be a key."""

    code = "key_missing"


class TooManyRefused(FileRefused):
    """So many rows of a file are refused that it is most likely not one of this source."""

    code = "too_many_refused"


class FolderUnusable(StreamsError):
    """A watched folder is not there, or may not be written."""

    category = Category.INCORRECT
    code = "folder_unusable"


class FolderInUse(StreamsError):
    """Another process works on a watched folder."""

    category = Category.CONFLICT
    code = "folder_in_use"


class RejectsUnwritable(StreamsError):
    """The rejects file cannot be written, so refused rows would be lost."""

    category = Category.UNAVAILABLE
    code = "rejects_unwritable"


class KafkaOptionRefused(StreamsError):
    """An option of the Kafka clients is fixed, or librdkafka does not take it; names the variable only."""

    code = "kafka_option_refused"
    category = Category.INCORRECT


class KafkaUnreachable(StreamsError):
    """No Kafka broker answers."""

    code = "kafka_unreachable"
    category = Category.UNAVAILABLE
    retryable = True


class KafkaRefused(StreamsError):
    """The Kafka cluster refuses what was asked: not authorised, too few brokers, a policy."""

    code = "kafka_refused"
    category = Category.CONFLICT


class ConnectorInvalid(StreamsError):
    """No connector can be written of what was stated: the database's URL, a table, the contract's key."""

    code = "connector_invalid"
    category = Category.INCORRECT


class ConnectorRefused(StreamsError):
    """Kafka Connect does not take a connector; the message says why, without the password."""

    code = "connector_refused"
    category = Category.INCORRECT


class ConnectUnreachable(StreamsError):
    """Kafka Connect does not answer, or cannot now."""

    code = "connect_unreachable"
    category = Category.UNAVAILABLE
    retryable = True


class WorkerStopped(StreamsError):
    """A worker stopped, because going on would pass over messages; nothing of them was stored."""

    code = "worker_stopped"
    category = Category.CONFLICT


class MessagesLost(WorkerStopped):
    """Kafka no longer has the messages at which a partition goes on."""

    code = "messages_lost"


class MessageUnreadable(WorkerStopped):
    """Kafka's copy of a message is damaged."""

    code = "message_unreadable"


class PositionInvalid(StreamsError):
    """A text is no position in the order of a source's statements."""

    code = "position_invalid"
    category = Category.INCORRECT


class PositionNotReached(StreamsError):
    """Within the time given, something that the source stated up to there still lacked its CID."""

    code = "position_not_reached"
    category = Category.UNAVAILABLE
    retryable = True


class PartitionUnknown(StreamsError):
    """No worker has ever taken from this topic or partition."""

    code = "unknown_partition"
    category = Category.NOT_FOUND


class RejectUnknown(StreamsError):
    """No reject has this id."""

    code = "unknown_reject"
    category = Category.NOT_FOUND


class RejectClosed(StreamsError):
    """The reject was replayed or discarded; its message is forgotten."""

    code = "reject_closed"
    category = Category.CONFLICT


class RejectBehind(StreamsError):
    """An older message about the same record stands open, and comes first."""

    code = "reject_behind"
    category = Category.CONFLICT


class RejectUnmendable(StreamsError):
    """The body that is to replace a refused message has no key, or is no statement."""

    code = "reject_unmendable"
    category = Category.INCORRECT


class KafkaFenced(StreamsError):
    """Another producer of our name writes to Kafka now, and Kafka lets only one."""

    code = "kafka_fenced"
    category = Category.CONFLICT


class WebhookInvalid(StreamsError):
    """No webhook can be made of what was stated: its URL, its sources, its secret."""

    category = Category.INCORRECT
    code = "webhook_invalid"


class WebhookRefused(StreamsError):
    """A webhook's host is in a network where no webhook may go."""

    category = Category.INCORRECT
    code = "webhook_refused"


class WebhookUnknown(StreamsError):
    """No webhook has this id."""

    category = Category.NOT_FOUND
    code = "unknown_webhook"


class WriteBackRefused(StreamsError):
    """CIDs cannot be written to the table that was named: its columns, or what the database lets us do."""

    category = Category.INCORRECT
    code = "write_back_refused"


class WriteBackUnreachable(StreamsError):
    """The database that CIDs are written back to does not answer."""

    category = Category.UNAVAILABLE
    code = "write_back_unreachable"
    retryable = True
