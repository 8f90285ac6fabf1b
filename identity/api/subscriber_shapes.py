"""The shapes of what subscribers are asked and answered.

Elsewhere: the shapes of all other routes (`identity.api.shapes`).
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["SubscriberAcknowledgement", "SubscriberAnswer", "SubscriberBody", "SubscribersAnswer"]


class SubscriberBody(BaseModel):
    """Where a new subscriber begins."""

    model_config = ConfigDict(
        extra="forbid", hide_input_in_errors=True, json_schema_extra={"examples": [{"at": "start"}]}
    )

    at: Annotated[
        str,
        Field(min_length=1, max_length=200, description="now, start, or a cursor, such as a snapshot's"),
    ] = "now"


class SubscriberAcknowledgement(BaseModel):
    """How far a subscriber has come."""

    model_config = ConfigDict(
        extra="forbid",
        hide_input_in_errors=True,
        json_schema_extra={"examples": [{"cursor": "1767222000000000.17"}]},
    )

    cursor: Annotated[
        str, Field(min_length=1, max_length=200, description="everything up to it is dealt with")
    ]
    was: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=200,
            description="where the caller believes it to be; 409 when somebody has moved it",
        ),
    ] = None


class SubscriberAnswer(BaseModel):
    """A subscriber and how far it has come."""

    name: str
    owner: str
    cursor: str
    created_at: str
    moved_at: str


class SubscribersAnswer(BaseModel):
    """Subscribers, by name."""

    subscribers: list[SubscriberAnswer]
