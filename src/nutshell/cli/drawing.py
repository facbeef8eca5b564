"""Settings turned into a model and into requests: for `nutshell generate` and the menu."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nutshell.language import tr
from nutshell.settings import Settings

if TYPE_CHECKING:
    from PIL import Image

    from nutshell.cli.outputs import Outputs
    from nutshell.cli.progress import Show
    from nutshell.pipeline import Request


_LOG = logging.getLogger(__name__)


def request_of(
    prompt: str, settings: Settings, image: Image.Image | None = None, mask: Image.Image | None = None
) -> Request:
    """What is to be drawn. Raises UsageError."""
    from nutshell.pipeline import Request

    fields: dict[str, Any] = settings.given(
        *("steps", "guidance", "guidance_interval", "guidance_rescale", "sampler", "schedule", "spacing", "eta"),
        *("seed", "count", "strength", "mask_blur", "clip_skip"),
        *("fast", "reuse", "reuse_depth", "merge", "fewer_keys", "int8_attention"),
    )
    if settings["size"] is not None:
        fields["width"], fields["height"] = settings["size"]
    return Request(prompt, settings["negative"], image=image, mask=mask, **fields)


def open_model(settings: Settings, load: Callable[..., Any] | None) -> Any:
    """The model that the settings name. load: another `nutshell.load`, for tests. Raises a NutshellError."""
    if settings["polite"]:
        # Before engines start their threads, which take their priority from who starts them.
        give_way()
    models: dict[str, Any] = {name: settings[name] for name in ("model", "vae", "preview_vae")}
    if load is None:
        from nutshell.pipeline import load as load_model
        from nutshell.pipeline.tiny_vae import choose_vae
        from nutshell.store import find
        from nutshell.store.places import Places

        load, places = load_model, Places.of(settings)
        vae = models.pop("vae")
        models = {name: find(text, places) if text is not None else None for name, text in models.items()}
        models["vae"] = choose_vae(vae, models["model"].card, places, fast=settings["fast"])
    names = ("engine", "precision", "threads", "prediction", "max_memory", "learn", "int8_budget")
    options = {name: settings[name] for name in names}
    if settings["compile_cache"]:
        options["compile_cache"] = settings["compile_cache_limit"]
    return load(models.pop("model"), embeddings=settings["embedding"], **models, **options)


def give_way() -> None:
    """As `--polite` says; what the system refuses is told."""
    from nutshell.machine.courtesy import be_polite

    done = be_polite()
    for given, what in ((done.processor, tr("the processor")), (done.disk, tr("the disk"))):
        if not given:
            _LOG.warning(tr("this system gives no low priority for {what}", what=what))


def draw(model: Any, request: Request, show: Show, outputs: Outputs) -> None:
    """Draw the pictures of a request, write them and tell it."""
    show.begin(request.prompt, request.count)
    for picture in model.draw(request, show.step):
        show.done(picture, outputs.save(picture, request.prompt))
