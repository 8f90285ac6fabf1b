"""Frames on the pipes between the HTTP process and a resolver process.

A frame is two lengths (4 bytes each, big-endian), a head (JSON) and a body (bytes). The head of a frame
of jobs lists them with the size of each one's part of the body; the head of an answer does the same.
Invariant: both ends are this program, of one version; a torn frame means that the other end died.
"""

from __future__ import annotations

import asyncio
import struct
from dataclasses import dataclass
from typing import IO, Any, Final

import orjson

from service.errors import InternalFault

__all__ = ["Frame", "pack_frame", "read_frame", "read_frame_async", "split_body"]

_LENGTHS: Final = struct.Struct(">II")


@dataclass(frozen=True, slots=True)
class Frame:
    """One message: a head of JSON values and a body."""

    head: dict[str, Any]
    body: bytes


def pack_frame(head: dict[str, Any], body: bytes = b"") -> bytes:
    """Return the bytes of one frame."""
    packed = orjson.dumps(head)
    return b"".join((_LENGTHS.pack(len(packed), len(body)), packed, body))


def read_frame(stream: IO[bytes]) -> Frame | None:
    """Return the next frame of a blocking stream, None when the other end is gone."""
    lengths = stream.read(_LENGTHS.size)
    if len(lengths) < _LENGTHS.size:
        return None
    head_size, body_size = _LENGTHS.unpack(lengths)
    content = stream.read(head_size + body_size)
    if len(content) < head_size + body_size:
        return None
    return Frame(orjson.loads(content[:head_size]), content[head_size:])


async def read_frame_async(reader: asyncio.StreamReader) -> Frame | None:
    """Return the next frame of an asyncio stream, None when the other end is gone."""
    try:
        head_size, body_size = _LENGTHS.unpack(await reader.readexactly(_LENGTHS.size))
        head = await reader.readexactly(head_size)
        body = await reader.readexactly(body_size) if body_size else b""
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    return Frame(orjson.loads(head), body)


def split_body(frame: Frame) -> list[bytes]:
    """Return each part of the body, by the `size` of the parts in the head."""
    parts: list[bytes] = []
    at = 0
    for part in frame.head["parts"]:
        parts.append(frame.body[at : at + part["size"]])
        at += part["size"]
    if at != len(frame.body):
        raise InternalFault("a frame between processes has the wrong size")
    return parts
