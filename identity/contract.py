"""The source contract: what a source promises about its records, and how they are read.

Invariant: a `SourceContract` is frozen and one version of it never changes. Reading a contract
refuses what it does not know, so that a typing error is not a silent default.
Elsewhere: applying the mapping to rows of a file (`streams.mapping`), storing versions (`identity.service`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, cast

from identity.errors import ContractRefused, KeyRefused

__all__ = [
    "KEY_CODE_POINTS_MAX",
    "SourceContract",
    "changes_matching",
    "check_key",
    "check_source_name",
    "is_breaking",
    "is_key_text",
    "read_contract",
]

KEY_CODE_POINTS_MAX: Final = 512
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_ALLOWED: Final = frozenset(
    "domain kind owner key alternate_keys key_pattern key_personal mapping region approach one_per_customer trust "
    "lawful_basis retention write_back epoch cid_field cid_within_s coverage_min".split()
)
_TRUST_MAX: Final = 1.0
_WAYS_BACK: Final = ("topic", "webhook", "write-back", "none")
_EPOCH_MAX: Final = 2**31 - 1
_SECONDS_MAX: Final = 366 * 86_400

Path = str | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SourceContract:
    """One immutable version of a source's contract."""

    name: str
    version: int
    document: Mapping[str, object]
    domain: str
    kind: str | None
    owner: str | None
    key_path: Path | None
    alternate_paths: Mapping[str, Path]
    key_pattern: re.Pattern[str] | None
    key_personal: bool
    mapping: Mapping[str, Path]
    region: str | None
    approach: int | None
    one_per_customer: bool
    trust: Mapping[str, float]
    epoch: int = 0
    """Raised when the source's versions begin anew; a version is (epoch, number)."""
    epoch_since: int = 1
    """The version of this contract with which its epoch began."""
    cid_field: str | None = None
    """Path of the field in which the source's own rows bear the CID that they were given."""
    cid_within_s: float | None = None
    coverage_min: float | None = None
    write_back: str | None = None
    """How the CID goes back to the source: topic, webhook, write-back or none."""

    @property
    def same_as_is_judgement(self) -> bool:
        """True when the contract trusts the source's own `same_as` as a judgement."""
        return self.trust.get("same_as", 0.0) >= _TRUST_MAX

    def number_now(self, number: int | None, *, contract_version: int) -> int | None:
        """Return the number of a version that was read by an older contract; None where that was in a former epoch.

        There it means nothing any more: the version is older than any of this epoch, as one without a number is.
        """
        return None if contract_version < self.epoch_since else number


def check_source_name(name: str) -> None:
    """Raise ContractRefused unless `name` is a legal name of a source."""
    if not _NAME.fullmatch(name):
        raise ContractRefused(
            "The name of a source is 1 to 63 characters of a-z, 0-9, _ and -, and starts with a letter or digit."
        )


def check_key(contract: SourceContract, key: object) -> str:
    """Return the key as text, or raise KeyRefused saying which rule it breaks (never the key)."""
    if not isinstance(key, str):
        raise KeyRefused("A key is a text of 1 to 512 characters; send numbers as text.")
    if not key or len(key) > KEY_CODE_POINTS_MAX:
        raise KeyRefused(f"A key has 1 to {KEY_CODE_POINTS_MAX} characters; this one has {len(key)}.")
    if not key.isprintable() and _CONTROL.search(key):
        raise KeyRefused("A key holds no control characters.")
    if contract.key_pattern is not None and not contract.key_pattern.fullmatch(key):
        raise KeyRefused(f"The key breaks the key_pattern of source {contract.name}.")
    return key


def is_key_text(value: object) -> bool:
    """Return whether the value can be a key of some source: a text of 1 to 512 characters, none a control character."""
    return (
        isinstance(value, str)
        and 0 < len(value) <= KEY_CODE_POINTS_MAX
        and (value.isprintable() or not _CONTROL.search(value))
    )


def read_contract(
    name: str, document: Mapping[str, object], *, version: int, epoch_since: int = 1
) -> SourceContract:
    """Return the contract that the document states; raises ContractRefused naming the field.

    Args:
        epoch_since: the version of the contract with which the document's epoch began.
    """
    check_source_name(name)
    unknown = sorted(set(document) - _ALLOWED)
    if unknown:
        raise ContractRefused(f"The contract has unknown fields: {', '.join(unknown)[:200]}.")
    domain = document.get("domain")
    if not isinstance(domain, str) or not _NAME.fullmatch(domain):
        raise ContractRefused("The contract needs a domain: 1 to 63 characters of a-z, 0-9, _ and -.")
    return SourceContract(
        name=name,
        version=version,
        document=dict(document),
        domain=domain,
        kind=_text(document, "kind"),
        owner=_text(document, "owner"),
        key_path=_path(document.get("key"), "key"),
        alternate_paths=_paths(document.get("alternate_keys"), "alternate_keys"),
        key_pattern=_pattern(document.get("key_pattern")),
        key_personal=_flag(document, "key_personal"),
        mapping=_paths(document.get("mapping"), "mapping"),
        region=_region(document.get("region")),
        approach=_approach(document.get("approach")),
        one_per_customer=_flag(document, "one_per_customer"),
        trust=_trust(document.get("trust")),
        epoch=_epoch(document.get("epoch")),
        epoch_since=epoch_since,
        cid_field=_cid_field(document.get("cid_field")),
        cid_within_s=_amount(document, "cid_within_s", at_most=_SECONDS_MAX),
        coverage_min=_amount(document, "coverage_min", at_most=1),
        write_back=_way_back(document.get("write_back")),
    )


def changes_matching(old: SourceContract, new: SourceContract) -> bool:
    """True when records read by `old` may resolve otherwise under `new`, so the source is resolved again."""
    return (old.region, old.one_per_customer, old.same_as_is_judgement) != (
        new.region,
        new.one_per_customer,
        new.same_as_is_judgement,
    )


def is_breaking(old: SourceContract, new: SourceContract) -> str | None:
    """Return the field by which `new` breaks what is stored (keys, or the order of versions), or None."""
    if old.key_path is not None and new.key_path != old.key_path:
        return "key"
    if new.key_pattern is not None and (
        old.key_pattern is None or old.key_pattern.pattern != new.key_pattern.pattern
    ):
        return "key_pattern"
    if new.epoch < old.epoch:
        return "epoch"
    return None


def _text(document: Mapping[str, object], field: str) -> str | None:
    value = document.get(field)
    if value is None or isinstance(value, str):
        return value
    raise ContractRefused(f"The contract's {field} is a text.")


def _flag(document: Mapping[str, object], field: str) -> bool:
    value = document.get(field)
    if value is None:
        return False
    if isinstance(value, bool):
        return value
    raise ContractRefused(f"The contract's {field} is true or false.")


def _path(value: object, field: str) -> Path | None:
    if value is None:
        return None
    if isinstance(value, str) and value:
        return value
    if isinstance(value, Sequence) and value and all(isinstance(part, str) and part for part in value):
        return tuple(cast("Sequence[str]", value))
    raise ContractRefused(f"The contract's {field} is a path or a list of paths.")


def _paths(value: object, field: str) -> dict[str, Path]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ContractRefused(f"The contract's {field} is an object of paths.")
    paths: dict[str, Path] = {}
    for name, path in value.items():
        read = _path(path, f"{field} entry")
        if not isinstance(name, str) or not name or read is None:
            raise ContractRefused(f"The contract's {field} is an object of paths.")
        paths[name] = read
    return paths


def _pattern(value: object) -> re.Pattern[str] | None:
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > 1000:
        raise ContractRefused(
            "The contract's key_pattern is a regular expression of at most 1,000 characters."
        )
    try:
        return re.compile(value)
    except re.error as exc:
        raise ContractRefused("The contract's key_pattern is not a regular expression.") from exc


def _region(value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z]{2}", value):
        return value.upper()
    raise ContractRefused("The contract's region is a country code of two letters, such as DE.")


def _approach(value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 4:
        return value
    raise ContractRefused("The contract's approach is 1, 2, 3 or 4.")


def _epoch(value: object) -> int:
    if value is None:
        return 0
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _EPOCH_MAX:
        return value
    raise ContractRefused("The contract's epoch is a whole number from 0 on.")


def _way_back(value: object) -> str | None:
    if value is None or (isinstance(value, str) and value in _WAYS_BACK):
        return value
    raise ContractRefused(f"The contract's write_back is one of: {', '.join(_WAYS_BACK)}.")


def _cid_field(value: object) -> str | None:
    if value is None or (isinstance(value, str) and value):
        return value
    raise ContractRefused("The contract's cid_field is the path of one field.")


def _amount(document: Mapping[str, object], field: str, *, at_most: float) -> float | None:
    value = document.get(field)
    if value is None:
        return None
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= at_most:
        return float(value)
    raise ContractRefused(f"The contract's {field} is a number from 0 to {at_most}.")


def _trust(value: object) -> dict[str, float]:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise ContractRefused("The contract's trust is an object: attribute to a number from 0 to 1.")
    trust: dict[str, float] = {}
    for name, level in value.items():
        if isinstance(level, bool):
            trust[str(name)] = _TRUST_MAX if level else 0.0
        elif isinstance(level, int | float) and 0 <= level <= _TRUST_MAX:
            trust[str(name)] = float(level)
        else:
            raise ContractRefused("The contract's trust is an object: attribute to a number from 0 to 1.")
    return trust
