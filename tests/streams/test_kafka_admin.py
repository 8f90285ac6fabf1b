"""Creating topics on a real broker, and what is said when there is none."""

from __future__ import annotations

import dataclasses

import pytest
from confluent_kafka import KafkaError, Producer
from confluent_kafka.admin import AdminClient

from deploy.local.children import find_free_port
from streams.errors import KafkaOptionRefused, KafkaRefused, KafkaUnreachable
from streams.kafka_admin import TopicState, apply_topics, build_client, translate_kafka_error
from streams.kafka_options import KafkaAddress, admin_config, producer_config
from streams.topics import TopicNames, plan_topics


@pytest.mark.slow
def test_topics_are_created_once_and_then_found_as_planned(kafka_bootstrap: str, kafka_prefix: str) -> None:
    address = KafkaAddress(kafka_bootstrap)
    plans = plan_topics(["crm"], names=TopicNames(kafka_prefix), partitions=3)

    first = apply_topics(address, plans, replicas=1)
    second = apply_topics(address, plans)

    assert [report.plan for report in first] == plans
    assert {report.state for report in first} == {TopicState.CREATED}
    assert [(report.state, report.differences) for report in second] == [(TopicState.THERE, ())] * len(plans)


@pytest.mark.slow
def test_a_topic_that_differs_is_reported_and_left_alone(kafka_bootstrap: str, kafka_prefix: str) -> None:
    address = KafkaAddress(kafka_bootstrap)
    plans = plan_topics([], names=TopicNames(kafka_prefix), partitions=3)
    apply_topics(address, plans[:2])
    wider = [dataclasses.replace(plan, partitions=5) for plan in plans]

    reports = [apply_topics(address, wider) for _ in range(2)][1]

    assert [report.state for report in reports] == [
        TopicState.DIFFERS,
        TopicState.DIFFERS,
        TopicState.THERE,
    ]
    [difference] = reports[0].differences
    assert (difference.what, difference.planned, difference.found) == ("partitions", "5", "3")


@pytest.mark.slow
def test_more_copies_than_brokers_are_refused(kafka_bootstrap: str, kafka_prefix: str) -> None:
    plans = plan_topics([], names=TopicNames(kafka_prefix))

    with pytest.raises(KafkaRefused, match="REPLICATION"):
        apply_topics(KafkaAddress(kafka_bootstrap), plans, replicas=3)


@pytest.mark.slow
def test_a_broker_that_does_not_answer_is_named_with_what_to_check(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.kafka_admin.ANSWER_S_MAX", 0.5)
    bootstrap = f"127.0.0.1:{find_free_port()}"

    with pytest.raises(KafkaUnreachable, match=rf"{bootstrap}.*refused.*SAMEAS_KAFKA_BOOTSTRAP"):
        apply_topics(KafkaAddress(bootstrap), plan_topics([]))


@pytest.mark.parametrize(
    ("options", "variable"),
    [
        ({"sasl.pasword": "canary"}, "SAMEAS_KAFKA_SASL_PASWORD"),
        ({"security.protocol": "canary"}, "SAMEAS_KAFKA_SECURITY_PROTOCOL"),
        ({"socket.timeout.ms": "canary"}, "SAMEAS_KAFKA_SOCKET_TIMEOUT_MS"),
    ],
)
def test_an_option_that_librdkafka_does_not_take_is_named_without_its_value(
    options: dict[str, str], variable: str
) -> None:
    address = KafkaAddress("broker:9092", options)

    for make, config in ((AdminClient, admin_config(address)), (Producer, producer_config(address))):
        with pytest.raises(KafkaOptionRefused, match=variable) as caught:
            build_client(make, config)
        assert "canary" not in caught.value.detail
        assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (KafkaError._TRANSPORT, KafkaUnreachable),
        (KafkaError._AUTHENTICATION, KafkaUnreachable),
        (KafkaError._SSL, KafkaUnreachable),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaRefused),
        (KafkaError.POLICY_VIOLATION, KafkaRefused),
    ],
)
def test_each_of_kafkas_errors_becomes_one_of_ours(code: int, expected: type[Exception]) -> None:
    with pytest.raises(expected):
        translate_kafka_error("broker:9092", KafkaError(code))
