"""What AUTOMATIC1111's clients send, and the wish that it stands for.

Field names and defaults are those of its `/sdapi/v1` as `webuiapi`, Open WebUI and SillyTavern send them. Null means
what leaving out means: the model's own size, steps, guidance and sampler. What would change the picture and is not
here (a second pass, face restoration, tiles, scripts) is refused by name; values of such fields that ask for nothing
are accepted, for clients send them all.
"""

from __future__ import annotations

import re
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from nutshell.errors import UsageError
from nutshell.language import Text, tr
from nutshell.sampling import find_sampler
from nutshell.service.http.a1111_base64 import decoded

# Its names of sigma curves, in plain form, and ours.
CURVES: dict[str, str | None] = {
    "automatic": None,
    "uniform": "model",
    "karras": "karras",
    "exponential": "exponential",
    "sgm uniform": "sgm_uniform",
}
_CHECKPOINT_HASH = re.compile(r"\s*\[[0-9a-f]{6,64}\]$")
_CHECKPOINT_ENDING = re.compile(r"\.(safetensors|ckpt)$")
Number = TypeVar("Number", int, float)


class Drawing(BaseModel):
    """The fields that txt2img and img2img share; unknown ones are passed over, as there."""

    model_config = ConfigDict(extra="ignore", allow_inf_nan=False)

    prompt: str | None = ""
    negative_prompt: str | None = ""
    styles: list[str] | None = None
    seed: int | None = Field(-1, description="-1 for a random one")
    subseed: int | None = -1
    subseed_strength: float | None = 0.0
    seed_resize_from_h: int | None = -1
    seed_resize_from_w: int | None = -1
    sampler_name: str | None = None
    sampler_index: str | None = Field(None, description="used where sampler_name is not given")
    scheduler: str | None = None
    batch_size: int | None = 1
    n_iter: int | None = 1
    steps: int | None = None
    cfg_scale: float | None = None
    width: int | None = None
    height: int | None = None
    restore_faces: bool | None = False
    tiling: bool | None = False
    eta: float | None = None
    s_churn: float | None = None
    s_noise: float | None = None
    denoising_strength: float | None = None
    override_settings: dict[str, Any] | None = None
    override_settings_restore_afterwards: bool | None = True
    clip_skip: int | None = Field(None, description="SD.Next's name of CLIP_stop_at_last_layers")
    refiner_checkpoint: str | None = None
    script_name: str | None = None
    alwayson_scripts: dict[str, Any] | None = None
    infotext: str | None = None
    send_images: bool | None = True
    save_images: bool | None = False

    @property
    def count(self) -> int:
        """Pictures in all."""
        return _or(self.batch_size, 1) * _or(self.n_iter, 1)

    @property
    def checkpoint(self) -> str | None:
        """The model that this request alone asks for."""
        return _text_setting(self.override_settings, "sd_model_checkpoint") or None

    def clip_stop(self, otherwise: int) -> int:
        """CLIP_stop_at_last_layers, where 1 leaves no layer out."""
        settings = self.override_settings or {}
        value = settings.get("CLIP_stop_at_last_layers", self.clip_skip)
        return otherwise if value is None else checked_clip_stop(value)

    def sampler(self) -> tuple[str | None, str | None]:
        """Sampler and sigma curve, None for the model's own. A curve that the sampler does not take is left out."""
        name = self.sampler_name or self.sampler_index
        curve = curve_of(self.scheduler)
        if not name:
            return None, curve
        sampler, named = find_sampler(name)
        return sampler.name, (curve or named) if sampler.takes_curve else None

    def own_eta(self) -> float | None:
        """The share of fresh noise for samplers that have that choice; others have it fixed."""
        name = self.sampler_name or self.sampler_index
        if self.eta is None or not name:
            return None
        sampler, _ = find_sampler(name)
        if sampler.eta is not None:
            return self.eta
        if sampler.stochastic and self.eta != 1.0:
            raise UsageError(tr("{title} has no eta other than 1", title=sampler.title), field="eta")
        return None

    def refuse_what_is_missing(self) -> None:
        """Raise UsageError, naming the field, for what would change the picture and cannot be done."""
        if self.styles:
            raise not_here("styles", tr("this service keeps no styles"))
        if self.subseed_strength:
            raise not_here("subseed_strength", tr("seeds are not varied by a second one"))
        if _or(self.seed_resize_from_h, 0) > 0 or _or(self.seed_resize_from_w, 0) > 0:
            raise not_here("seed_resize_from_h", tr("noise is not taken from another size"))
        if self.restore_faces:
            raise not_here("restore_faces", tr("faces are not restored"))
        if self.tiling:
            raise not_here("tiling", tr("pictures that tile are not drawn"))
        if self.s_churn or _or(self.s_noise, 1.0) != 1.0:
            raise not_here("s_churn", tr("s_churn and s_noise are fixed at 0 and 1"))
        if self.refiner_checkpoint and self.refiner_checkpoint != "None":
            raise not_here("refiner_checkpoint", tr("a picture is drawn by one model"))
        if self.infotext:
            raise not_here("infotext", tr("send its values as fields"))
        if self.script_name and self.script_name != "None":
            raise not_here("script_name", tr("there are no scripts"))
        for name, script in (self.alwayson_scripts or {}).items():
            if _asks_for_something(script):
                raise not_here("alwayson_scripts", tr("there is no script {name!r}", name=name[:100]))
        vae = _text_setting(self.override_settings, "sd_vae")
        if vae not in ("", "None", "Automatic"):
            raise not_here("override_settings.sd_vae", tr("a model is drawn with its own VAE"))

    def wish_fields(self, clip_stop: int) -> dict[str, Any]:
        """The fields of a `Wish`, but for the model and the pictures. Raises UsageError."""
        self.refuse_what_is_missing()
        sampler, curve = self.sampler()
        seed = _or(self.seed, -1)
        return {
            "prompt": self.prompt or "",
            "negative_prompt": self.negative_prompt or "",
            "width": self.width,
            "height": self.height,
            "steps": self.steps,
            "guidance": self.cfg_scale,
            "sampler": sampler,
            "schedule": curve,
            "eta": self.own_eta(),
            "seed": None if seed == -1 else seed,
            "count": self.count,
            "clip_skip": self.clip_stop(clip_stop) - 1,
        }


class TextToImage(Drawing):
    """`POST /sdapi/v1/txt2img`."""

    enable_hr: bool | None = False

    def refuse_what_is_missing(self) -> None:
        """As all; and there is no second pass."""
        if self.enable_hr:
            raise UsageError(
                tr("enable_hr: there is no second pass at a higher size"),
                tr("ask for the size that you want in width and height"),
                field="enable_hr",
            )
        super().refuse_what_is_missing()


class ImageToImage(Drawing):
    """`POST /sdapi/v1/img2img`. `inpaint_full_res` is passed over: the whole picture is drawn."""

    init_images: list[str] | None = Field(None, description="one picture, base64, with or without a data: prefix")
    include_init_images: bool | None = False
    resize_mode: int | None = Field(0, description="0 stretches, 1 crops, 2 fills the sides")
    mask: str | None = Field(None, description="white where to redraw, base64")
    mask_blur: float | None = None
    mask_blur_x: float | None = None
    mask_blur_y: float | None = None
    inpainting_fill: int | None = Field(1, description="0 begins from the surroundings' colours, 1 from the picture")
    inpainting_mask_invert: int | None = 0
    inpaint_full_res: bool | None = False
    initial_noise_multiplier: float | None = None

    @property
    def blur(self) -> float:
        """Pixels over which redrawn and kept parts blend."""
        return _or(self.mask_blur, max(_or(self.mask_blur_x, 4.0), _or(self.mask_blur_y, 4.0)))

    def refuse_what_is_missing(self) -> None:
        """As all; and some ways to begin under a mask."""
        if self.resize_mode not in (None, 0, 1, 2):
            raise not_here("resize_mode", tr("0 (stretch), 1 (crop) and 2 (fill) are known"))
        if self.mask and self.inpainting_fill not in (None, 0, 1):
            raise not_here("inpainting_fill", tr("0 (fill) and 1 (original) are known"))
        if _or(self.initial_noise_multiplier, 1.0) != 1.0:
            raise not_here("initial_noise_multiplier", tr("it is fixed at 1"))
        super().refuse_what_is_missing()

    def pictures(self) -> tuple[bytes, bytes | None]:
        """The picture and its mask as files. Raises UsageError."""
        if not self.init_images or not self.init_images[0]:
            raise UsageError(tr("init_images holds no picture"), tr("send one, in base64"), field="init_images")
        if len(self.init_images) > 1:
            raise UsageError(
                tr("init_images holds {count} pictures", count=len(self.init_images)),
                tr("send one request for each"),
                field="init_images",
            )
        mask = decoded("mask", self.mask) if self.mask else None
        return decoded("init_images", self.init_images[0]), mask


def curve_of(scheduler: str | None) -> str | None:
    """Our name of a sigma curve that its name or label means; None for the model's own. Raises UsageError."""
    plain = " ".join((scheduler or "automatic").lower().replace("_", " ").split())
    if plain not in CURVES:
        raise UsageError(
            tr("unknown scheduler {name!r}", name=(scheduler or "")[:100]),
            tr("known: {schedulers}", schedulers=", ".join(CURVES)),
            field="scheduler",
        )
    return CURVES[plain]


def checked_clip_stop(value: Any) -> int:
    """1 to 12. Raises UsageError."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value not in range(1, 13):
        raise UsageError(
            tr("CLIP_stop_at_last_layers is a whole number from 1 (no layer left out) to 12"),
            field="CLIP_stop_at_last_layers",
        )
    return int(value)


def plain_checkpoint(name: str) -> str:
    """A checkpoint's name without the hash and the ending that web UIs put after it."""
    return _CHECKPOINT_ENDING.sub("", _CHECKPOINT_HASH.sub("", name.strip()))


def not_here(field: str, why: Text) -> UsageError:
    """The error for a field that asks for what this service does not do."""
    return UsageError(tr("{field}: {why}", field=field, why=why), tr("leave {field} out", field=field), field=field)


def _text_setting(settings: dict[str, Any] | None, name: str) -> str:
    value = (settings or {}).get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        field = f"override_settings.{name}"
        raise UsageError(tr("{field} is a name", field=field), field=field)
    return value


def _asks_for_something(script: Any) -> bool:
    """Extensions that are switched off are sent as {"args": []} or {"args": [false]}."""
    arguments = script.get("args") if isinstance(script, dict) else script
    if isinstance(arguments, list):
        return bool(arguments) and bool(arguments[0])
    return bool(arguments)


def _or(value: Number | None, otherwise: Number) -> Number:
    return otherwise if value is None else value
