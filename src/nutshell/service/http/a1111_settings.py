"""What AUTOMATIC1111's clients call options: they are kept as long as the service runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nutshell.errors import ModelNotFound, UsageError
from nutshell.language import tr
from nutshell.service.http.a1111_request import checked_clip_stop, plain_checkpoint
from nutshell.service.models import Models, shown_name

# Options that clients read, and send back with all the others. They cannot be changed here.
_FIXED: dict[str, Any] = {
    "sd_checkpoint_hash": None,
    "sd_vae": "Automatic",
    "samples_format": "png",
    "samples_save": True,
    "grid_save": False,
    "return_grid": False,
    "enable_pnginfo": True,
    "eta_noise_seed_delta": 0,
    "face_restoration_model": None,
    "upscaler_for_img2img": None,
    "show_progress_every_n_steps": 1,
    "live_previews_image_format": "jpeg",
}
_LONGEST_NAME = 1000  # characters


@dataclass
class Settings:
    """checkpoint: the model that is drawn with, empty for the service's. clip_stop: 1 leaves no text layer out.

    previews: whether pictures of the way are made for `progress`.
    """

    checkpoint: str = ""
    clip_stop: int = 1
    previews: bool = True

    def model(self, models: Models) -> str:
        """The model to draw with; the service's where the chosen one is no longer there. May block."""
        try:
            return models.resolve(self.checkpoint or None)
        except ModelNotFound:
            self.checkpoint = ""
            return models.default

    def to_json(self, models: Models) -> dict[str, Any]:
        """What `GET /options` answers. May block."""
        return {
            "sd_model_checkpoint": shown_name(self.model(models)),
            "CLIP_stop_at_last_layers": self.clip_stop,
            "live_previews_enable": self.previews,
            **_FIXED,
        }

    def take(self, given: Mapping[str, Any], models: Models) -> None:
        """Change what can be changed, all or nothing; pass over what this service does not know. May block.

        Clients send all that they read, so a fixed option with its own value is no fault.
        Raises UsageError, ModelNotFound.
        """
        checkpoint, clip_stop, previews = self.checkpoint, self.clip_stop, self.previews
        if given.get("sd_model_checkpoint") is not None:
            checkpoint = find_checkpoint(given["sd_model_checkpoint"], models)
        if given.get("CLIP_stop_at_last_layers") is not None:
            clip_stop = checked_clip_stop(given["CLIP_stop_at_last_layers"])
        if given.get("live_previews_enable") is not None:
            previews = given["live_previews_enable"]
            if not isinstance(previews, bool):
                raise UsageError(tr("live_previews_enable is true or false"), field="live_previews_enable")
        for name, value in _FIXED.items():
            if name in given and given[name] != value and given[name] is not None:
                raise UsageError(
                    tr("{name} cannot be changed here", name=name), tr("leave {field} out", field=name), field=name
                )
        self.checkpoint, self.clip_stop, self.previews = checkpoint, clip_stop, previews


def find_checkpoint(name: Any, models: Models) -> str:
    """The model that a checkpoint's title means, with or without its hash. May block.

    Raises ModelNotFound, UsageError.
    """
    if not isinstance(name, str) or len(name) > _LONGEST_NAME:
        raise UsageError(tr("sd_model_checkpoint is a model's name"), field="sd_model_checkpoint")
    try:
        return models.resolve(name)
    except ModelNotFound:
        plain = plain_checkpoint(name)
        if plain in ("", name):
            raise
        return models.resolve(plain)
