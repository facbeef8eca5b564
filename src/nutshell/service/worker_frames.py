"""What the two sides of the worker say to each other: frames of a JSON header and blobs.

4 bytes, big-endian: length of the header | header, UTF-8 JSON | the blobs, whose lengths are header["blobs"]
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

_LENGTH_BYTES = 4
# A prompt and its parameters are some kilobytes, a picture some megabytes: more is no frame of ours.
_MOST_HEADER_BYTES = 4_000_000
_MOST_BLOB_BYTES = 256_000_000


class FrameError(Exception):
    """What came is no frame, or ends within one."""


@dataclass(frozen=True)
class Frame:
    """header: what is said, without the lengths. blobs: the bytes that go with it."""

    header: dict[str, Any]
    blobs: list[bytes] = field(default_factory=list)

    def encoded(self) -> bytes:
        """As it passes the pipe."""
        text = json.dumps({**self.header, "blobs": list(map(len, self.blobs))}).encode()
        return b"".join((len(text).to_bytes(_LENGTH_BYTES, "big"), text, *self.blobs))


def read_frame(stream: BinaryIO) -> Frame | None:
    """The next frame; None at the end of the stream. Raises FrameError. Blocks."""
    start = stream.read(_LENGTH_BYTES)
    if not start:
        return None
    header, lengths = _parsed(_whole(stream.read(_header_bytes(start)), _header_bytes(start)))
    return Frame(header, [_whole(stream.read(length), length) for length in lengths])


async def receive_frame(stream: asyncio.StreamReader) -> Frame | None:
    """As `read_frame`, without blocking."""
    try:
        start = await stream.readexactly(_LENGTH_BYTES)
        header, lengths = _parsed(await stream.readexactly(_header_bytes(start)))
        return Frame(header, [await stream.readexactly(length) for length in lengths])
    except asyncio.IncompleteReadError as error:
        if not error.partial and error.expected == _LENGTH_BYTES:
            return None
        raise FrameError("the stream ends within a frame") from error


def _header_bytes(start: bytes) -> int:
    count = int.from_bytes(_whole(start, _LENGTH_BYTES), "big")
    if count > _MOST_HEADER_BYTES:
        raise FrameError(f"a header of {count} bytes")
    return count


def _parsed(text: bytes) -> tuple[dict[str, Any], Sequence[int]]:
    try:
        header = json.loads(text)
        lengths = header.pop("blobs")
        good = all(type(length) is int and length >= 0 for length in lengths) and sum(lengths) <= _MOST_BLOB_BYTES
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError) as error:
        raise FrameError("a header that cannot be read") from error
    if not good:
        raise FrameError(f"blobs of {lengths} bytes")
    return header, lengths


def _whole(data: bytes, length: int) -> bytes:
    if len(data) != length:
        raise FrameError("the stream ends within a frame")
    return data
