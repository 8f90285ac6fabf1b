"""Options of Kafka's clients: promises cannot be set away, reachability can be set."""

from __future__ import annotations

import pytest

from streams.errors import KafkaOptionRefused
from streams.kafka_options import (
    KafkaAddress,
    admin_config,
    check_options,
    consumer_config,
    producer_config,
    variable_of,
)

SECURED = KafkaAddress("broker:9093", {"security.protocol": "SASL_SSL", "sasl.password": "canary"})


def test_every_client_gets_the_operators_options() -> None:
    for config in (admin_config(SECURED), consumer_config(SECURED, group="g"), producer_config(SECURED)):
        assert config["bootstrap.servers"] == "broker:9093"
        assert config["security.protocol"] == "SASL_SSL"
        assert config["sasl.password"] == "canary"


def test_a_consumer_leaves_its_offsets_to_the_store() -> None:
    config = consumer_config(SECURED, group="sameas")

    assert (config["enable.auto.commit"], config["enable.auto.offset.store"]) == (False, False)
    assert config["auto.offset.reset"] == "error"
    assert config["partition.assignment.strategy"] == "cooperative-sticky"


def test_the_new_group_protocol_chooses_partitions_at_the_broker() -> None:
    config = consumer_config(KafkaAddress("b:1", {"group.protocol": "consumer"}), group="g")

    assert "partition.assignment.strategy" not in config


def test_a_producer_writes_once_in_order_and_where_javas_clients_write() -> None:
    config = producer_config(SECURED)

    assert (config["enable.idempotence"], config["acks"]) == (True, "all")
    assert config["partitioner"] == "murmur2_random"


def test_what_is_merely_safe_can_be_set_otherwise() -> None:
    address = KafkaAddress("b:1", {"linger.ms": "50", "compression.type": "zstd", "check.crcs": "false"})

    assert producer_config(address)["linger.ms"] == "50"
    assert consumer_config(address, group="g")["check.crcs"] == "false"


@pytest.mark.parametrize("option", ["acks", "auto.offset.reset", "bootstrap.servers", "transactional.id"])
def test_an_option_that_a_promise_rests_on_is_refused_by_its_variable(option: str) -> None:
    check_options(["sasl.password", "linger.ms"])

    with pytest.raises(KafkaOptionRefused, match=variable_of(option)):
        check_options(["linger.ms", option])


def test_what_is_printed_of_an_address_holds_no_option() -> None:
    assert "canary" not in f"{SECURED!r} {SECURED}"
