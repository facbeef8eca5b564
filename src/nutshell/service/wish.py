"""What a client asks for, checked before it is queued."""

from __future__ import annotations

import contextlib
import io
import threading
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from PIL import Image

from nutshell.errors import UsageError
from nutshell.language import Text, tr
from nutshell.pipeline import Request
from nutshell.pipeline.picture_file import eight_bits
from nutshell.sampling import find_sampler
from nutshell.settings import BY_NAME

# Held where the web side decodes pictures that were sent: a hundred kilobytes may be a hundred megabytes of pixels, and
# requests come at once.
DECODING = threading.Lock()
_BYTES = ("image", "mask")
_NOT_DRAWN = {"model", "precision", "previews", "keep_alive", *_BYTES}


@dataclass(frozen=True)
class Limits:
    """The most that one job may ask for. input_pixels: of a picture that is sent (a bomb is small in bytes)."""

    prompt_characters: int = 10_000
    pixels: int = 1024 * 1024
    count: int = 16
    steps: int = 150
    input_bytes: int = 16_000_000
    input_pixels: int = 32_000_000


@dataclass(frozen=True)
class Wish:
    """The fields of `nutshell.pipeline.Request` that can be written down, and how the job is served.

    model: a name that `nutshell.store.find` knows. precision: as the setting of that name, None for the service's own.
    seed: None until the queue has chosen one, so that a job that is
    begun again draws the same. image, mask: files as they were sent (PNG, JPEG, WebP). previews: whether pictures of
    the way are wanted. keep_alive: seconds that the model stays loaded afterwards, None for the service's setting.
    """

    prompt: str
    model: str
    negative_prompt: str = ""
    width: int | None = None
    height: int | None = None
    steps: int | None = None
    guidance: float | None = None
    guidance_interval: tuple[float, float] | None = None
    guidance_rescale: float = 0.0
    sampler: str | None = None
    schedule: str | None = None
    spacing: str | None = None
    eta: float | None = None
    seed: int | None = None
    count: int = 1
    strength: float = 0.8
    mask_blur: float = 4.0
    clip_skip: int = 0
    fast: bool = False
    reuse: int | None = None
    reuse_depth: int = 1
    merge: float | None = None
    fewer_keys: bool | None = None
    int8_attention: bool = False
    precision: str | None = None
    image: bytes | None = None
    mask: bytes | None = None
    previews: bool = False
    keep_alive: float | None = None

    def check(self, limits: Limits) -> None:
        """Raise UsageError, whose `field` names what is wrong, before anything is queued."""
        if len(self.prompt) > limits.prompt_characters:
            raise _too_much("prompt", tr("characters"), len(self.prompt), limits.prompt_characters)
        if len(self.negative_prompt) > limits.prompt_characters:
            raise _too_much("negative_prompt", tr("characters"), len(self.negative_prompt), limits.prompt_characters)
        if self.width is not None and self.height is not None and self.width * self.height > limits.pixels:
            raise _too_much("width", tr("pixels"), self.width * self.height, limits.pixels)
        if self.count > limits.count:
            raise _too_much("count", tr("pictures"), self.count, limits.count)
        if self.steps is not None and self.steps > limits.steps:
            raise _too_much("steps", tr("steps"), self.steps, limits.steps)
        for name in _BYTES:
            data = getattr(self, name)
            if data is not None:
                _check_picture(name, data, limits)
        if self.sampler is not None:
            find_sampler(self.sampler)
        known = BY_NAME["precision"].kind
        if self.precision is not None and self.precision not in known.names:
            raise UsageError(
                tr("{origin} must be {word}, not {shown!r}",
                   origin="precision", word=known.words, shown=self.precision[:60]),
                field="precision",
            )  # fmt: skip
        with DECODING:
            self.request()

    def request(self) -> Request:
        """The same as the pipeline takes it, its pictures decoded. Raises UsageError."""
        given: dict[str, Any] = {
            field.name: getattr(self, field.name) for field in fields(self) if field.name not in _NOT_DRAWN
        }
        return Request(image=_decoded("image", self.image), mask=_decoded("mask", self.mask), **given)

    def to_json(self) -> dict[str, Any]:
        """All but the pictures' bytes."""
        return {key: value for key, value in asdict(self).items() if key not in _BYTES}

    @classmethod
    def from_json(cls, values: Mapping[str, Any], image: bytes | None = None, mask: bytes | None = None) -> Wish:
        """What `to_json` wrote, by this or an older version."""
        known = {field.name for field in fields(cls)} - set(_BYTES)
        given = {key: value for key, value in values.items() if key in known}
        if given.get("guidance_interval") is not None:
            # JSON has no tuples.
            given["guidance_interval"] = tuple(given["guidance_interval"])
        return cls(**given, image=image, mask=mask)


def _too_much(field: str, unit: Text, value: int, most: int) -> UsageError:
    return UsageError(
        tr("{field}: {value} {unit} are more than the {most} that this service allows",
           field=field, value=value, unit=unit, most=most),
        field=field,
    )  # fmt: skip


def _check_picture(field: str, data: bytes, limits: Limits) -> None:
    """By its header alone: nothing is decoded before its size is known."""
    if len(data) > limits.input_bytes:
        raise _too_much(field, tr("bytes"), len(data), limits.input_bytes)
    with _opened(field, data) as image:
        pixels = image.width * image.height
    if pixels > limits.input_pixels:
        raise _too_much(field, tr("pixels"), pixels, limits.input_pixels)


def _decoded(field: str, data: bytes | None) -> Image.Image | None:
    if data is None:
        return None
    with _opened(field, data) as image:
        image.load()
        return eight_bits(image.copy())


@contextlib.contextmanager
def _opened(field: str, data: bytes) -> Iterator[Image.Image]:
    """Its header is read; what goes wrong in the block, too, is the file's fault."""
    try:
        with Image.open(io.BytesIO(data), formats=("PNG", "JPEG", "WEBP")) as image:
            yield image
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UsageError(
            tr("{field} is not a picture that can be read", field=field),
            tr("send a PNG, JPEG or WebP file"),
            field=field,
        ) from error
