"""All settings of the service in one frozen value, read from a mapping of environment variables.

Invariant: an unknown `SAMEAS_` variable is refused, secrets are masked wherever settings are shown, and
a service that others can reach has TLS or names the proxy that has it.
Elsewhere: who reads the process's environment (`service.cli`); which Kafka options are fixed
(`streams.kafka_options`); the page of all settings (`docs/settings.md`).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from service.errors import SettingsInvalid
from streams.errors import KafkaOptionRefused
from streams.kafka_options import KafkaAddress, check_options

__all__ = ["ENVIRONMENT_PREFIX", "Settings", "load_settings"]

ENVIRONMENT_PREFIX: Final = "SAMEAS_"

_OF_OTHERS: Final = ("SAMEAS_TEST_", "SAMEAS_REQUIRE_SERVICES")
"""Prefixes that the tests read."""

_KAFKA_PREFIX: Final = "SAMEAS_KAFKA_"

Port = Annotated[int, Field(ge=0, le=65_535)]
Count = Annotated[int, Field(ge=1)]


class Settings(BaseModel):
    """Everything that can be set; the variable of field `x` is `SAMEAS_X`."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    data_dir: Path = Path("sameas-data")
    """Where the embedded store, the admin key and spools live; made at first start, mode 0700."""
    database_url: SecretStr | None = None
    """`postgresql://user:password@server/database` (or `sqlite:///path`); the embedded SQLite if unset."""
    store_key: SecretStr | None = None
    """64 hexadecimal digits that seal what the store keeps; if unset, made once and kept in the store."""
    host: str = "127.0.0.1"
    """Address to listen on."""
    port: Port = 8360
    """Port to listen on; 0 takes a free one and prints it."""
    tls_cert: Path | None = None
    """Certificate chain (PEM)."""
    tls_key: Path | None = None
    """Private key of the certificate (PEM)."""
    trusted_proxy: str | None = None
    """Address or network of the proxy that ends TLS; only its `X-Forwarded-*` headers are believed."""
    admin_key: SecretStr | None = None
    """An admin API key to be valid from the first start on, instead of a random one."""
    resolver_processes: Annotated[int, Field(ge=1, le=64)] | None = None
    """Processes that resolve records; 1 on SQLite and 2 on PostgreSQL if unset."""
    read_threads: Annotated[int, Field(ge=1, le=64)] = 4
    """Threads of the HTTP process that read the store."""
    body_bytes_max: Annotated[int, Field(ge=1_024, le=1 << 30)] = 1 << 20
    """Size of a request body, and of one line of a stream."""
    list_body_bytes_max: Annotated[int, Field(ge=1_024, le=1 << 30)] = 32 << 20
    """Size of the body of the routes that take a list of up to 10,000 keys or CIDs."""
    batch_records_max: Annotated[int, Field(ge=1, le=500)] = 200
    """Records that share one transaction."""
    coalesce_ms: Annotated[int, Field(ge=0, le=100)] = 0
    """How long a single record waits for others while no batch is under way; 0 sends it at once."""
    waiting_records_max: Count = 2_000
    """Single records that may wait for each resolver process before new ones are answered 429."""
    spool_memory_bytes: Annotated[int, Field(ge=0)] = 1 << 20
    """Answers of one stream that are kept in memory while its client does not read."""
    spool_disk_bytes_max: Annotated[int, Field(ge=0)] = 8 << 30
    """Answers of one stream that are kept on disk beyond that; then the stream ends with `spool_full`."""
    kafka_bootstrap: str | None = None
    """Addresses of Kafka brokers, `host:port,host:port`; streams are off if unset."""
    kafka_options: Mapping[str, SecretStr] = Field(default_factory=dict)
    """Options of librdkafka by their names; `SAMEAS_KAFKA_SASL_PASSWORD` sets `sasl.password`."""
    topic_prefix: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")] = "sameas"
    """What the names of all topics begin with; another one for each installation on a shared cluster."""
    topic_partitions: Annotated[int, Field(ge=1, le=1_000)] = 12
    """Partitions of new topics: more workers than that cannot share a source."""
    topic_replicas: Annotated[int, Field(ge=1, le=20)] | None = None
    """Copies of new topics; the brokers' default if unset."""
    serve_with: tuple[str, ...] = ()
    """What runs beside the HTTP service, as `sameas serve --with`: names, with commas between."""
    webhook_hosts_allowed: tuple[str, ...] = ()
    """Hosts in private networks that webhooks may go to all the same; names as in their URLs, commas between."""
    webhook_authorities: Path | None = None
    """Certificates (PEM) of authorities that receivers may have theirs from, besides the system's."""
    webhook_days_max: Annotated[int, Field(ge=1, le=365)] = 5
    """Days that a receiver may take nothing before its webhook is disabled."""
    write_back_url: SecretStr | None = None
    """SQLAlchemy URL of the source's database that `sameas write-back` writes to."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least severity that is logged."""

    @field_validator("serve_with", "webhook_hosts_allowed", mode="before")
    @classmethod
    def _names_stand_between_commas(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return tuple(dict.fromkeys(name.strip() for name in value.split(",") if name.strip()))

    @field_validator("admin_key")
    @classmethod
    def _admin_key_is_long(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not 8 <= len(value.get_secret_value()) <= 256:
            raise ValueError("an admin key has 8 to 256 characters")
        if value is not None and not ((text := value.get_secret_value()).isascii() and text.isprintable()):
            raise ValueError("an admin key is printable ASCII")
        return value

    @field_validator("store_key")
    @classmethod
    def _store_key_is_hexadecimal(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            text = value.get_secret_value()
            if len(text) != 64 or not all(digit in "0123456789abcdefABCDEF" for digit in text):
                raise ValueError("the store key is 64 hexadecimal digits")
        return value

    @field_validator("trusted_proxy")
    @classmethod
    def _proxy_is_an_address(cls, value: str | None) -> str | None:
        if value is not None:
            ipaddress.ip_network(value, strict=False)
        return value

    @model_validator(mode="after")
    def _is_safe_to_reach(self) -> Self:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("tls_cert and tls_key are set together or not at all")
        if not _is_loopback(self.host) and self.tls_cert is None and self.trusted_proxy is None:
            raise ValueError(
                "listening beyond loopback needs tls_cert and tls_key, or trusted_proxy (who ends TLS)"
            )
        return self

    @property
    def is_embedded(self) -> bool:
        """True when the store is a SQLite file."""
        url = self.database_url.get_secret_value() if self.database_url is not None else "sqlite:"
        return url.partition(":")[0].partition("+")[0] == "sqlite"

    @property
    def resolver_count(self) -> int:
        """How many resolver processes are to run."""
        return self.resolver_processes or (1 if self.is_embedded else 2)

    @property
    def kafka(self) -> KafkaAddress:
        """Where Kafka is; SettingsInvalid when nobody said it."""
        if self.kafka_bootstrap is None:
            raise SettingsInvalid("SAMEAS_KAFKA_BOOTSTRAP is not set; it names Kafka's brokers, host:port.")
        options = {name: value.get_secret_value() for name, value in self.kafka_options.items()}
        return KafkaAddress(self.kafka_bootstrap, options)


def load_settings(environ: Mapping[str, str], **overrides: object) -> Settings:
    """Return the settings that `environ` states, with `overrides` (by field name) on top.

    Raises:
        SettingsInvalid: a variable is unknown, or a value breaks a rule; names the variable only.
    """
    stated: dict[str, object] = {}
    kafka_options: dict[str, str] = {}
    for name, text in environ.items():
        if not name.startswith(ENVIRONMENT_PREFIX) or name.startswith(_OF_OTHERS):
            continue
        field = name.removeprefix(ENVIRONMENT_PREFIX).lower()
        if name.startswith(_KAFKA_PREFIX) and field != "kafka_bootstrap":
            if text != "":
                kafka_options[name.removeprefix(_KAFKA_PREFIX).lower().replace("_", ".")] = text
            continue
        if field not in Settings.model_fields:
            raise SettingsInvalid(f"{name} is no setting of this service; docs/settings.md lists all")
        if text != "":
            stated[field] = text
    _check_kafka_options(kafka_options)
    stated["kafka_options"] = kafka_options
    stated.update({field: value for field, value in overrides.items() if value is not None})
    try:
        return Settings.model_validate(stated)
    except ValidationError as exc:
        raise SettingsInvalid(_refusal(exc)) from None


def _check_kafka_options(options: Mapping[str, str]) -> None:
    try:
        check_options(options)
    except KafkaOptionRefused as exc:
        raise SettingsInvalid(exc.detail) from exc


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _refusal(error: ValidationError) -> str:
    parts: list[str] = []
    for failure in error.errors(include_input=False, include_url=False, include_context=False):
        name = ENVIRONMENT_PREFIX + str(failure["loc"][0]).upper() if failure["loc"] else "settings"
        parts.append(f"{name}: {failure['msg'].removeprefix('Value error, ')}")
    return "; ".join(parts)
