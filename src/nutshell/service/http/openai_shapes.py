"""What clients of OpenAI's image API send, and the wish that it stands for.

https://platform.openai.com/docs/api-reference/images
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from nutshell.errors import UsageError
from nutshell.language import tr
from nutshell.service.http.bodies import PictureBytes
from nutshell.service.models import Models, shown_name
from nutshell.service.wish import Wish

_SIZE = re.compile(r"(\d{1,5})x(\d{1,5})")
# Of the model's usual steps. "standard" and "hd" are what DALL-E called two of them.
_STEPS_SHARE = {"low": 0.5, "medium": 1.0, "standard": 1.0, "high": 1.5, "hd": 1.5, "xhigh": 2.0, "max": 2.5}
_NAMES = {"standard": "medium", "hd": "high"}
_EDIT_STRENGTH = {"low": 0.8, "high": 0.6}
_VARIATION_STRENGTH = 0.6


class _Asked(BaseModel):
    """What all three have in common; null is as good as left out."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, protected_namespaces=())

    model: str | None = Field(None, description="a name of GET /v1/models; the default for names such as gpt-image-1")
    n: int | None = Field(None, description="how many pictures (default 1)")
    size: str | None = Field(None, description='"auto" (the model\'s own), or such as "512x512"; multiples of 8')
    response_format: Literal["b64_json", "url"] | None = Field(
        None, description="default b64_json; url for names that begin with dall-e, as their clients expect"
    )
    user: str | None = Field(None, max_length=10_000, description="accepted; nothing is kept of it")
    # Beyond OpenAI's; its clients send them by `extra_body`.
    negative_prompt: str | None = Field(None, description="what should not be in the picture")
    steps: int | None = Field(None, description="denoising steps")
    guidance_scale: float | None = Field(None, description="how closely to follow the prompt; 1 is off")
    seed: int | None = Field(None, description="the same seed draws the same picture")
    sampler: str | None = Field(None, description="ddim, euler, dpmpp_2m, ...")

    def fields(self, models: Models) -> dict[str, Any]:
        """Of the wish. Raises UsageError, ModelNotFound."""
        width, height = read_size(self.size)
        return {
            "model": models.resolve(self.model),
            "negative_prompt": self.negative_prompt or "",
            "width": width,
            "height": height,
            "steps": self.steps,
            "guidance": self.guidance_scale,
            "seed": self.seed,
            "sampler": self.sampler,
            "count": 1 if self.n is None else self.n,
        }

    @property
    def output(self) -> Output:
        """How the pictures are to be given back."""
        url = (self.model or "").startswith("dall-e") if self.response_format is None else self.response_format == "url"
        return Output(url=url)


class _Prompted(_Asked):
    """What takes words."""

    prompt: str = Field(description="what to draw")
    output_format: Literal["png", "jpeg", "webp"] | None = Field(None, description="default png")
    output_compression: int | None = Field(None, ge=0, le=100, description="quality of jpeg and webp, default 100")
    quality: Literal["auto", "low", "medium", "high", "xhigh", "max", "standard", "hd"] | None = Field(
        None, description="how many steps are taken, of the model's usual: low half as many, high 1.5 times as many"
    )
    background: Literal["auto", "opaque", "transparent"] | None = Field(None, description="transparent is refused")
    moderation: Literal["auto", "low"] | None = Field(None, description="accepted; there is none here")
    safety_identifier: str | None = Field(None, max_length=10_000, description="accepted; nothing is kept of it")
    stream: bool | None = Field(None, description="answer with server-sent events")
    partial_images: int | None = Field(None, ge=0, le=3, description="with stream: pictures of the way")

    def fields(self, models: Models) -> dict[str, Any]:
        self._check()
        fields = super().fields(models)
        if self.steps is None and self.quality in _STEPS_SHARE:
            name, share = shown_name(fields["model"]), _STEPS_SHARE[self.quality]
            usual = next((row.steps for row in models.rows() if row.name == name), None)
            if usual is not None and share != 1.0:
                fields["steps"] = max(1, round(usual * share))
        return {**fields, "prompt": self.prompt, "previews": bool(self.partial_images)}

    def _check(self) -> None:
        """What does not go together."""
        if self.background == "transparent":
            raise UsageError(
                tr("these models draw no transparent background"), tr("use opaque or auto"), field="background"
            )
        if self.output_compression not in (None, 100) and (self.output_format or "png") == "png":
            raise UsageError(
                tr("a PNG is not compressed with loss"), tr("use jpeg or webp"), field="output_compression"
            )
        if self.partial_images and not self.stream:
            raise UsageError(
                tr("pictures of the way come with a stream only"), tr("set stream to true"), field="partial_images"
            )

    @property
    def output(self) -> Output:
        quality = 100 if self.output_compression is None else self.output_compression
        name = self.quality or "auto"
        return Output(
            url=super().output.url and not self.stream,
            form=self.output_format or "png",
            compression=quality,
            quality=_NAMES.get(name, name),
            background="opaque",
        )


class GenerateRequest(_Prompted):
    """`POST /v1/images/generations`."""

    style: Literal["vivid", "natural"] | None = Field(None, description="accepted; say it in the prompt")

    def wish(self, models: Models) -> Wish:
        """Raises UsageError, ModelNotFound."""
        return Wish(**self.fields(models))


def read_size(text: str | None) -> tuple[int, int] | tuple[None, None]:
    """Width and height from "512x384"; None for "auto" and for nothing. Raises UsageError."""
    if text in (None, "", "auto"):
        return None, None
    match = _SIZE.fullmatch(str(text))
    if match is None:
        raise UsageError(
            tr("{size!r} is no size", size=text), tr('write "auto", or pixels such as "512x512"'), field="size"
        )
    return int(match[1]), int(match[2])


def _only(value: Any) -> Any:
    if isinstance(value, list):
        if len(value) != 1:
            raise PydanticCustomError("one_picture", tr("one picture can be drawn over at a time"))
        return value[0]
    return value


OnePicture = Annotated[PictureBytes, BeforeValidator(_only)]


class EditRequest(_Prompted):
    """`POST /v1/images/edits`, a form."""

    image: OnePicture = Field(description="the picture to change")
    mask: PictureBytes | None = Field(None, description="a PNG that is transparent where the picture is to be redrawn")
    input_fidelity: Literal["low", "high"] | None = Field(None, description="high: without a mask, keep more of it")
    strength: float | None = Field(None, description="0 to 1: how much to redraw (default 1 with a mask, else 0.8)")

    def wish(self, models: Models) -> Wish:
        """Its mask is still as it was sent. Raises UsageError, ModelNotFound."""
        strength = self.strength
        if strength is None:
            strength = _EDIT_STRENGTH[self.input_fidelity or "low"]
        return Wish(**self.fields(models), image=self.image, mask=self.mask, strength=strength)


class VariationRequest(_Asked):
    """`POST /v1/images/variations`, a form."""

    image: OnePicture = Field(description="the picture to vary")
    prompt: str | None = Field(None, description="what it shows, for a closer likeness")
    strength: float | None = Field(None, description="0 to 1: how much to redraw (default 0.6)")

    def wish(self, models: Models) -> Wish:
        """Raises UsageError, ModelNotFound."""
        strength = _VARIATION_STRENGTH if self.strength is None else self.strength
        return Wish(**self.fields(models), prompt=self.prompt or "", image=self.image, strength=strength)


@dataclass(frozen=True)
class Output:
    """How pictures are given back. form: png, jpeg or webp. compression: 0 to 100, of the latter two."""

    url: bool = False
    form: str = "png"
    compression: int = 100
    quality: str = "auto"
    background: str = "opaque"
