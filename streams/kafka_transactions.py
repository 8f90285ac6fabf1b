"""Send messages to Kafka in transactions, under a name that only one producer at a time can have.

Invariant: of the messages of one `send` that returned, readers of committed messages see all, in order, once; of one
that raised they see all or none. A session that another one of its name has followed sends nothing more: Kafka
fences it. A session that raised is of no more use; opening the next one takes back what it left.
Elsewhere: what is sent, and when it is tried again (`streams.relay`), the options (`streams.kafka_options`).
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from types import TracebackType
from typing import Any, Final, NoReturn, Self

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from streams.errors import KafkaFenced
from streams.kafka_admin import build_client, translate_kafka_error
from streams.kafka_options import KafkaAddress, producer_config
from streams.messages import OutMessage

__all__ = ["KafkaSession", "Placed"]

Placed = Callable[[int, int], None]
"""Is called with the partition and the offset that a message got."""

_WAIT_S: Final = 1.0
"""How long one call waits before whoever waits is asked whether it still wants to."""
_PATIENCE_S: Final = 10.0
"""How long Kafka may keep one step waiting before it counts as away; it is then tried again with a new session."""
_FENCED: Final = frozenset(
    {KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH}
)


class KafkaSession:
    """One producer of transactions; while it is open no older one of its name gets anything through.

    Args:
        name: the producer's `transactional.id`.
        still: asked about once a second while Kafka is waited for; gives up by raising.

    Raises:
        KafkaUnreachable: no broker answers.
        KafkaRefused: the cluster does not let us write under this name.
        KafkaOptionRefused: librdkafka does not know an option.
    """

    def __init__(self, address: KafkaAddress, *, name: str, still: Callable[[], None]) -> None:
        self._bootstrap = address.bootstrap
        self._still = still
        self._said = said = deque[str](maxlen=8)
        self._is_within = False
        self._producer = build_client(
            Producer,
            {
                **producer_config(address),
                "transactional.id": name,
                # It must not hold this session: see `close`.
                "error_cb": lambda error: said.append(error.str()),
            },
        )
        try:
            self._insist(Producer.init_transactions)
        except BaseException:
            self.close()
            raise

    def list_topics(self) -> frozenset[str]:
        """Return the names of the cluster's topics."""
        try:
            return frozenset(self._producer.list_topics(timeout=_PATIENCE_S).topics)
        except KafkaException as exc:
            self._fail(exc.args[0])

    def send(
        self,
        messages: Iterable[OutMessage],
        *,
        written: Callable[[], None],
        place_of: Callable[[OutMessage], Placed | None] = lambda _message: None,
    ) -> int:
        """Write the messages in one transaction and commit it; return how many there were.

        Args:
            place_of: returns what is to be called with the partition and the offset that a message got, if anything is.
            written: called when brokers have all messages, before they are committed.
        Raises:
            KafkaFenced: a younger session of this name is open.
            KafkaUnreachable: no broker answers; whether readers see the messages is not known.
            KafkaRefused: the cluster refuses a message or the transaction.
        """
        count = 0
        try:
            with _fatal_errors_as_they_are():
                self._producer.begin_transaction()
                self._is_within = True
                for message in messages:
                    self._produce(message, place_of(message))
                    count += 1
                deadline = time.monotonic() + _PATIENCE_S
                while self._producer.flush(_WAIT_S):
                    self._wait_more(KafkaError(KafkaError._TIMED_OUT), deadline)
        except KafkaException as exc:
            self._fail(exc.args[0])
        written()
        self._insist(Producer.commit_transaction)
        self._is_within = False
        return count

    def close(self) -> None:
        """Take back what was not committed, as far as Kafka answers, and end the producer; to be called once.

        One that was only forgotten would go on to ask for its name in the background, and so fence its successor.
        """
        if self._is_within:
            with contextlib.suppress(KafkaException), _fatal_errors_as_they_are():
                self._producer.abort_transaction(_WAIT_S)
        del self._producer

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, raised: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _produce(self, message: OutMessage, placed: Placed | None) -> None:
        noting: dict[str, Any] = {} if placed is None else {"on_delivery": partial(_note_place, placed)}
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            try:
                self._producer.produce(
                    message.topic, message.value, message.key, headers=list(message.headers), **noting
                )
            except BufferError:
                self._producer.poll(_WAIT_S)
                self._wait_more(KafkaError(KafkaError._QUEUE_FULL), deadline)
            else:
                self._producer.poll(0)
                return

    def _insist(self, step: Callable[[Producer, float], object]) -> None:
        """Take a step of the transaction; one that timed out goes on where it was."""
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            try:
                with _fatal_errors_as_they_are():
                    step(self._producer, _WAIT_S)
                return
            except KafkaException as exc:
                error: KafkaError = exc.args[0]
            if not error.retriable():
                self._fail(error)
            self._wait_more(error, deadline)

    def _wait_more(self, error: KafkaError, deadline: float) -> None:
        if time.monotonic() > deadline:
            self._fail(error)
        self._still()

    def _fail(self, error: KafkaError) -> NoReturn:
        if error.code() in _FENCED:
            raise KafkaFenced(
                "another relay of this store sends now, or one of another store that has the same "
                "SAMEAS_TOPIC_PREFIX on this cluster; each store needs a prefix of its own."
            ) from None
        translate_kafka_error(self._bootstrap, error, list(self._said))


def _note_place(placed: Placed, error: KafkaError | None, message: Message) -> None:
    part, offset = message.partition(), message.offset()
    if error is None and part is not None and offset is not None and offset >= 0:
        placed(part, offset)


@contextlib.contextmanager
def _fatal_errors_as_they_are() -> Iterator[None]:
    """Raise a fatal error of the client as what it is.

    The client raises it from within a callback and goes on to call the next one; Python wraps it in a SystemError.
    """
    try:
        yield
    except SystemError as exc:
        if isinstance(exc.__cause__, KafkaException):
            raise exc.__cause__ from None
        raise
