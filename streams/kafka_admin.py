"""Create topics on a Kafka cluster, and tell what it has otherwise than planned.

Invariant: a topic that is there is never changed: partitions cannot be taken away, and more of them would
part the messages of a key; retention may differ on purpose. Running twice creates nothing twice.
Elsewhere: which topics (`streams.topics`), options of clients (`streams.kafka_options`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, NoReturn, TypeVar

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, ResourceType
from confluent_kafka.cimpl import NewTopic

from streams.errors import KafkaOptionRefused, KafkaRefused, KafkaUnreachable
from streams.kafka_options import KafkaAddress, admin_config, variable_of
from streams.topics import TopicDifference, TopicFound, TopicPlan, compare_topic

__all__ = ["TopicReport", "TopicState", "apply_topics", "build_client", "translate_kafka_error"]

ANSWER_S_MAX: Final = 10.0
"""How long a cluster may take to answer one question."""

_REPLICAS_OF_BROKER: Final = -1
_NAMED_OPTION: Final = re.compile(r'property[: ]+"([^"]+)"')
_UNREACHABLE: Final = frozenset(
    {
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._AUTHENTICATION,
        KafkaError._RESOLVE,
        KafkaError._SSL,
        KafkaError._TIMED_OUT,
        KafkaError._TIMED_OUT_QUEUE,
        KafkaError._TRANSPORT,
        KafkaError.REQUEST_TIMED_OUT,
    }
)
T = TypeVar("T")


class TopicState(StrEnum):
    """What became of a planned topic."""

    CREATED = "created"
    THERE = "there"
    DIFFERS = "differs"


@dataclass(frozen=True, slots=True)
class TopicReport:
    """A planned topic, what became of it, and what the cluster has otherwise."""

    plan: TopicPlan
    state: TopicState
    differences: tuple[TopicDifference, ...] = ()


def apply_topics(
    address: KafkaAddress, plans: Sequence[TopicPlan], *, replicas: int | None = None
) -> list[TopicReport]:
    """Create what is missing of the planned topics and report on all of them, in order.

    Args:
        replicas: copies of each new topic; the brokers' default if None.
    Raises:
        KafkaUnreachable: no broker answers.
        KafkaRefused: the cluster does not let us, or cannot keep so many copies.
        KafkaOptionRefused: librdkafka does not know an option.
    """
    said: list[str] = []
    # What goes wrong is told once, by the error raised; the log would repeat it at every attempt.
    told = {"log_level": 0, "error_cb": lambda error: said.append(error.str())}
    admin = build_client(AdminClient, {**admin_config(address), **told})
    ask = _Asking(admin, address.bootstrap, said)
    there = ask.now(lambda: admin.list_topics(timeout=ANSWER_S_MAX)).topics
    missing = [plan for plan in plans if plan.name not in there]
    created = _create(admin, missing, replicas=replicas, ask=ask) if missing else set()
    known = [plan for plan in plans if plan.name not in created]
    found = _describe(admin, [plan.name for plan in known], ask=ask) if known else {}
    return [
        TopicReport(plan, TopicState.CREATED) if plan.name in created else _report(plan, found[plan.name])
        for plan in plans
    ]


def build_client(make: Callable[[dict[str, Any]], T], config: Mapping[str, Any]) -> T:
    """Return the client that `make` builds of the options; raises KafkaOptionRefused naming the wrong one."""
    try:
        return make(dict(config))
    except (KafkaException, TypeError, ValueError) as exc:
        named = _NAMED_OPTION.search(str(exc))
        which = variable_of(named[1]) if named else "one of SAMEAS_KAFKA_BOOTSTRAP and SAMEAS_KAFKA_<OPTION>"
        raise KafkaOptionRefused(
            f"{which} is no option of librdkafka, or has a value that it does not take; "
            "its page CONFIGURATION.md lists all."
        ) from None  # the cause would show the value


def translate_kafka_error(bootstrap: str, error: KafkaError, said: Sequence[str] = ()) -> NoReturn:
    """Raise the error of ours that says what a Kafka error means for whoever runs the service.

    Args:
        said: what the client reported in the meantime; the last one tells why a broker does not answer.
    """
    if error.code() in _UNREACHABLE:
        last = f" Last reported: {said[-1]}." if said else ""
        raise KafkaUnreachable(
            f"no Kafka broker answers at {bootstrap} ({error.name()}).{last} See that it runs; check "
            "SAMEAS_KAFKA_BOOTSTRAP, and SAMEAS_KAFKA_SECURITY_PROTOCOL if it wants TLS or a password."
        ) from None
    raise KafkaRefused(f"Kafka at {bootstrap} refuses ({error.name()}): {error.str()}") from None


class _Asking:
    """Asks the cluster and translates what it answers."""

    def __init__(self, admin: AdminClient, bootstrap: str, said: list[str]) -> None:
        self._admin = admin
        self._bootstrap = bootstrap
        self._said = said

    def now(self, question: Callable[[], T]) -> T:
        try:
            return question()
        except KafkaException as exc:
            self._admin.poll(0)  # brings what the client reported meanwhile
            translate_kafka_error(self._bootstrap, exc.args[0], self._said)

    def later(self, answer: Future[T]) -> T:
        return self.now(lambda: answer.result(ANSWER_S_MAX * 3))


def _create(
    admin: AdminClient, plans: Sequence[TopicPlan], *, replicas: int | None, ask: _Asking
) -> set[str]:
    """Create the topics; one that somebody else created meanwhile is not ours."""
    wanted = [
        NewTopic(plan.name, plan.partitions, replicas or _REPLICAS_OF_BROKER, config=dict(plan.config))
        for plan in plans
    ]
    created = set()
    for name, answer in admin.create_topics(wanted, operation_timeout=ANSWER_S_MAX).items():
        error = answer.exception(ANSWER_S_MAX * 3)
        if isinstance(error, KafkaException) and error.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:
            continue
        ask.later(answer)
        created.add(name)
    return created


def _describe(admin: AdminClient, names: Sequence[str], *, ask: _Asking) -> dict[str, TopicFound]:
    topics = ask.now(lambda: admin.list_topics(timeout=ANSWER_S_MAX)).topics
    asked = [ConfigResource(ResourceType.TOPIC, name) for name in names]
    found: dict[str, TopicFound] = {}
    for resource, answer in admin.describe_configs(asked, request_timeout=ANSWER_S_MAX).items():
        config = {name: str(entry.value) for name, entry in ask.later(answer).items()}
        found[resource.name] = TopicFound(len(topics[resource.name].partitions), config)
    return found


def _report(plan: TopicPlan, found: TopicFound) -> TopicReport:
    differences = tuple(compare_topic(plan, found))
    return TopicReport(plan, TopicState.DIFFERS if differences else TopicState.THERE, differences)
