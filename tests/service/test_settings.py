"""Settings from the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.errors import SettingsInvalid
from service.settings import ENVIRONMENT_PREFIX, Settings, load_settings

VARIABLES = {"kafka_options": "SAMEAS_KAFKA_&lt;OPTION&gt;"}
PAGE = Path(__file__).parents[2] / "docs" / "settings.md"


def test_an_empty_environment_gives_the_embedded_store_on_loopback() -> None:
    settings = load_settings({"PATH": "/bin", "HOME": "/root"})

    assert (settings.host, settings.port, settings.data_dir) == ("127.0.0.1", 8360, Path("sameas-data"))
    assert settings.is_embedded
    assert settings.resolver_count == 1


def test_postgresql_gets_two_resolver_processes_unless_told_otherwise() -> None:
    url = "postgresql://u:p@server/db"

    assert load_settings({"SAMEAS_DATABASE_URL": url}).resolver_count == 2
    assert load_settings({"SAMEAS_DATABASE_URL": url, "SAMEAS_RESOLVER_PROCESSES": "4"}).resolver_count == 4


def test_an_unknown_variable_is_refused_by_name() -> None:
    with pytest.raises(SettingsInvalid, match="SAMEAS_DATBASE_URL"):
        load_settings({"SAMEAS_DATBASE_URL": "x"})


@pytest.mark.parametrize("name", ["SAMEAS_TEST_POSTGRES_URL", "SAMEAS_REQUIRE_SERVICES"])
def test_variables_of_other_rooms_are_left_alone(name: str) -> None:
    assert load_settings({name: "x"}) == Settings()


def test_any_option_of_librdkafka_has_a_variable_and_is_masked() -> None:
    settings = load_settings(
        {
            "SAMEAS_KAFKA_BOOTSTRAP": "broker:9092",
            "SAMEAS_KAFKA_SASL_PASSWORD": "canary",
            "SAMEAS_KAFKA_SSL_CA_LOCATION": "ca.pem",
            "SAMEAS_KAFKA_SASL_USERNAME": "",
        }
    )

    assert settings.kafka.bootstrap == "broker:9092"
    assert settings.kafka.options == {"sasl.password": "canary", "ssl.ca.location": "ca.pem"}
    assert "canary" not in f"{settings!r} {settings} {settings.model_dump_json()} {settings.kafka!r}"


@pytest.mark.parametrize(
    "name",
    [
        "SAMEAS_KAFKA_BOOTSTRAP_SERVERS",
        "SAMEAS_KAFKA_ENABLE_AUTO_COMMIT",
        "SAMEAS_KAFKA_ENABLE_IDEMPOTENCE",
        "SAMEAS_KAFKA_PARTITIONER",
    ],
)
def test_an_option_that_a_promise_rests_on_cannot_be_set(name: str) -> None:
    with pytest.raises(SettingsInvalid, match=name) as caught:
        load_settings({name: "canary"})

    assert "canary" not in caught.value.detail


def test_without_brokers_whoever_needs_kafka_is_told_the_variable() -> None:
    with pytest.raises(SettingsInvalid, match="SAMEAS_KAFKA_BOOTSTRAP"):
        _ = load_settings({}).kafka


@pytest.mark.parametrize("prefix", ["a.b", "Sameas", "-a", "a" * 64])
def test_a_topic_prefix_makes_legal_names_of_topics(prefix: str) -> None:
    with pytest.raises(SettingsInvalid, match="SAMEAS_TOPIC_PREFIX"):
        load_settings({"SAMEAS_TOPIC_PREFIX": prefix})

    assert load_settings({"SAMEAS_TOPIC_PREFIX": "mdm-test"}).topic_prefix == "mdm-test"


def test_a_wrong_value_is_refused_without_being_repeated() -> None:
    with pytest.raises(SettingsInvalid) as caught:
        load_settings({"SAMEAS_PORT": "canary-7f3", "SAMEAS_ADMIN_KEY": "canary"})

    assert "SAMEAS_PORT" in caught.value.detail
    assert "SAMEAS_ADMIN_KEY" in caught.value.detail
    assert "canary" not in caught.value.detail


def test_secrets_are_masked_where_settings_are_shown() -> None:
    settings = load_settings(
        {
            "SAMEAS_DATABASE_URL": "postgresql://u:canary-pw@server/db",
            "SAMEAS_ADMIN_KEY": "canary-" + "k" * 40,
            "SAMEAS_STORE_KEY": "ca" * 32,
        }
    )

    shown = f"{settings!r} {settings} {settings.model_dump_json()}"

    assert "canary" not in shown
    assert "caca" not in shown


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "sameas.example.org", ""])
def test_listening_beyond_loopback_needs_tls_or_a_named_proxy(host: str) -> None:
    environ = {"SAMEAS_HOST": host or "10.0.0.1"}

    with pytest.raises(SettingsInvalid, match="loopback"):
        load_settings(environ)

    assert load_settings({**environ, "SAMEAS_TRUSTED_PROXY": "10.0.0.0/8"}).trusted_proxy == "10.0.0.0/8"
    assert load_settings({**environ, "SAMEAS_TLS_CERT": "c.pem", "SAMEAS_TLS_KEY": "k.pem"}).tls_key == Path(
        "k.pem"
    )


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.10", "::1", "localhost"])
def test_loopback_needs_neither(host: str) -> None:
    assert load_settings({"SAMEAS_HOST": host}).host == host


def test_a_certificate_without_its_key_is_refused() -> None:
    with pytest.raises(SettingsInvalid, match="together"):
        load_settings({"SAMEAS_TLS_CERT": "c.pem"})


def test_settings_are_frozen_and_overrides_win() -> None:
    settings = load_settings({"SAMEAS_PORT": "1"}, port=2, host=None)

    assert settings.port == 2
    with pytest.raises(ValueError, match="frozen"):
        settings.port = 3


def test_every_setting_is_on_the_page_of_settings() -> None:
    page = PAGE.read_text(encoding="utf-8")

    missing = [
        field
        for field in Settings.model_fields
        if f"| {VARIABLES.get(field, ENVIRONMENT_PREFIX + field.upper())} |" not in page
    ]

    assert missing == []
