"""The shapes of bodies and answers, for OpenAPI and for reading the bodies of routes that are not hot.

Invariant: what is written here is a promise to clients: members are added, never renamed or removed.
Elsewhere: reading (`identity.api.read_body`), writing answers (`identity.api.render`).
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

__all__ = [
    "ChangesAnswer",
    "CidAnswer",
    "CidsBody",
    "CidsResolved",
    "ContractAnswer",
    "ContractBody",
    "ContractsAnswer",
    "CustomerAnswer",
    "CustomerBody",
    "ExplainAnswer",
    "ExplainBody",
    "GlueValue",
    "GoldenAnswer",
    "HistoryAnswer",
    "JudgementAnswer",
    "JudgementBody",
    "KeyCidAnswer",
    "LineAnswer",
    "LookupAnswer",
    "LookupBody",
    "ModelReport",
    "OversizedGroup",
    "OversizedReport",
    "RecordBody",
    "RecordLine",
    "Ref",
    "ReportAnswer",
    "SearchAnswer",
    "SearchBody",
    "StatedAnswer",
]

_CID = "0199d2a4-6f3a-7c1e-9d27-5b8e3a1f0c42"
_TIME = "2026-11-23T09:30:00.000000Z"
_ADA: Final[JsonDict] = {
    "given_name": "Ada",
    "family_name": "Byron",
    "birth_date": "1980-05-04",
    "email": "ada@example.org",
}

KeyText = Annotated[str, Field(min_length=1, max_length=512)]
SourceText = Annotated[str, Field(min_length=1, max_length=63)]
Time = Annotated[str, Field(description="RFC 3339 with its offset", examples=[_TIME])]
Paths = str | list[str]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class Ref(_Body):
    """Names one source record."""

    source: SourceText
    key: KeyText


class ContractBody(_Body):
    """A source contract; only `domain` is required."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"domain": "sales", "kind": "crm", "key": "id", "region": "DE"}]}
    )

    domain: str
    kind: str | None = None
    owner: str | None = None
    key: Paths | None = None
    alternate_keys: dict[str, Paths] | None = None
    key_pattern: str | None = None
    key_personal: bool | None = None
    mapping: dict[str, Paths] | None = None
    region: str | None = None
    approach: Literal[1, 2, 3, 4] | None = None
    one_per_customer: bool | None = None
    trust: dict[str, float | bool] | None = None
    epoch: int | None = Field(None, description="raised when the source's versions begin anew")
    cid_field: str | None = Field(None, description="where the source's own rows bear the CID")
    cid_within_s: float | None = None
    coverage_min: float | None = None
    write_back: Literal["topic", "webhook", "write-back", "none"] | None = Field(
        None, description="how the CID goes back"
    )


class ContractAnswer(BaseModel):
    """A source contract as stored, with its version."""

    source: str
    version: int
    contract: dict[str, Any]


class ContractsAnswer(BaseModel):
    """All source contracts in force."""

    sources: list[ContractAnswer]


class RecordBody(_Body):
    """The whole statement of a source about one of its customers."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"attributes": _ADA, "version": 3}]})

    attributes: dict[str, Any]
    effective_at: Time | None = None
    version: int | None = None
    alternate_keys: dict[str, str] | None = None
    same_as: dict[str, str] | None = Field(None, description='{"source", "key"} or {"cid"}')


class RecordLine(RecordBody):
    """One line of an NDJSON stream: a statement with its key, or `{"key", "withdrawn": true}`."""

    key: KeyText
    withdrawn: bool = False


class StatedAnswer(BaseModel):
    """What a statement did."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "source": "crm",
                    "key": "71",
                    "cid": _CID,
                    "outcome": "issued",
                    "known_at": _TIME,
                    "warnings": [],
                }
            ]
        }
    )

    source: str
    key: str
    cid: str | None
    outcome: str
    known_at: Time
    warnings: list[dict[str, str]]


class LineAnswer(BaseModel):
    """One line of answer: the CID and outcome, or `error`."""

    key: str | None
    cid: str | None = None
    outcome: str | None = None
    error: dict[str, str] | None = None


class CustomerBody(_Body):
    """Attributes of a customer that a source of approach 4 creates."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"attributes": _ADA}]})

    attributes: dict[str, Any]


class CustomerAnswer(BaseModel):
    """The record made; its key is the customer's CID at that moment, and stays the key."""

    key: str
    cid: str
    outcome: str


class KeyCidAnswer(BaseModel):
    """The CID of one key."""

    source: str
    key: str
    cid: str | None
    status: str
    horizon: Time


class LookupBody(_Body):
    """Up to 10,000 keys; one with `key_name` is an alternate key."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"keys": [{"source": "crm", "key": "71"}]}]})

    keys: list[dict[str, str]]
    valid_at: Time | None = None
    known_at: Time | None = None


class LookupAnswer(BaseModel):
    """The CIDs in the order of the keys."""

    cids: list[dict[str, str | None]]
    horizon: Time


class CidAnswer(BaseModel):
    """What a CID stands for now; `successors` are always live."""

    cid: str
    status: str
    successors: list[str]
    records: list[Ref]


class HistoryAnswer(BaseModel):
    """Every event that named the CID, in the order of their numbers."""

    events: list[dict[str, Any]]


class GoldenAnswer(BaseModel):
    """The surviving attributes, each with the record it came from."""

    cid: str
    attributes: dict[str, Any]


class CidsBody(_Body):
    """Up to 10,000 CIDs."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"cids": [_CID]}]})

    cids: list[str]
    known_at: Time | None = None


class CidsResolved(BaseModel):
    """Where each CID is now (or was at `known_at`), in the order asked."""

    cids: list[dict[str, Any]]
    horizon: Time


class SearchBody(_Body):
    """Attributes to find customers by; nothing is stored."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"attributes": _ADA, "limit": 5}]})

    attributes: dict[str, Any]
    limit: Annotated[int, Field(ge=1, le=100)] = 10


class SearchAnswer(BaseModel):
    """Customers that may be meant, best first."""

    candidates: list[dict[str, Any]]


class ExplainBody(_Body):
    """Two records to explain why they are together, or apart."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"left": {"source": "crm", "key": "71"}, "right": {"source": "erp", "key": "90"}}]
        }
    )

    left: Ref
    right: Ref
    known_at: Time | None = None


class ExplainAnswer(BaseModel):
    """Each comparison with its level and weight, the constraints, and the decision."""

    model_config = ConfigDict(extra="allow")


class ModelReport(BaseModel):
    """The active scoring model beside the store."""

    version: str
    active_since: Time
    population: Annotated[int, Field(description="customers that its prior assumes")]
    customers: Annotated[int, Field(description="of the store; counting stops above twice the population")]
    is_outgrown: Annotated[bool, Field(description="more than twice as many customers as assumed")]
    sources_new: Annotated[list[str], Field(description="sources that the model has never seen")]
    is_out_of_date: bool


class GlueValue(BaseModel):
    """A value by which records of a group link, and how many of its profiles hold it."""

    rule: str
    value: str
    profiles: int


class OversizedGroup(BaseModel):
    """Records that links connect and that are too many to be one component; values commonest first."""

    profiles: int
    values: list[GlueValue]


class OversizedReport(BaseModel):
    """Records that stand apart, except by judgement, because too much is linked to them."""

    records: int
    groups: list[OversizedGroup]
    is_complete: Annotated[bool, Field(description="False: only the first of very many were grouped")]


class ReportAnswer(BaseModel):
    """What the rules leave to people."""

    model: ModelReport
    oversized: OversizedReport


class JudgementBody(_Body):
    """*same* joins all named records; *different* parts each of `left` from each of `right`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "verdict": "same",
                    "left": [{"source": "crm", "key": "71"}],
                    "right": [{"source": "erp", "key": "90"}],
                    "reason": "ticket 4711",
                }
            ]
        }
    )

    verdict: Literal["same", "different"]
    left: Annotated[list[Ref], Field(min_length=1, max_length=1_000)]
    right: Annotated[list[Ref], Field(min_length=1, max_length=1_000)]
    reason: Annotated[str, Field(min_length=1, max_length=2_000)]


class JudgementAnswer(BaseModel):
    """The judgement's id, by which it can be withdrawn."""

    id: str


class ChangesAnswer(BaseModel):
    """Events after a cursor, and the cursor to go on from."""

    events: list[dict[str, Any]]
    cursor: str
