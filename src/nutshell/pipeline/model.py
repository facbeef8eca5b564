"""A loaded model: the front door of the library."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from PIL.Image import Image

from nutshell import __version__
from nutshell.engines import NAMES, Engine, open_engine
from nutshell.errors import EngineUnavailable, MemoryPressure, ModelNotFound, NotEnoughMemory, UsageError
from nutshell.language import Text, tr
from nutshell.machine import Machine, PeakMeter, kernel_cpu, lack, probe, probe_processor
from nutshell.networks.autoencoder_tiny import AutoencoderTinyConfig
from nutshell.pipeline.advice import advice
from nutshell.pipeline.caching import open_cache
from nutshell.pipeline.cards import find_card
from nutshell.pipeline.draw import Kit, draw
from nutshell.pipeline.eight_bits import EightBits, attention_of, eight_bits
from nutshell.pipeline.facts import Facts, read_facts, read_vae
from nutshell.pipeline.learning import StepClock, note_run
from nutshell.pipeline.needs import order_need
from nutshell.pipeline.opened import Engines, settle
from nutshell.pipeline.order import Order, place_order
from nutshell.pipeline.picture import OnStep, Picture
from nutshell.pipeline.pixels import fitted_size
from nutshell.pipeline.preview import TinyPreview
from nutshell.pipeline.request import Request
from nutshell.pipeline.stages import Rewrite, Stages, Tap
from nutshell.pipeline.strain import Watch
from nutshell.pipeline.tiny_vae import TinyWay, choose_vae, tiny_vae
from nutshell.plan import EIGHT_BITS, Need, Plan, Planner, installed_engines, processor_precisions
from nutshell.quantization import DEFAULT_DB, HALVES, Scales
from nutshell.settings import DEFAULT_MODEL
from nutshell.store import Found, find
from nutshell.tokens import Tokenizer
from nutshell.weights import Checkpoint, Part, load_embedding, open_checkpoint, open_part

_LOG = logging.getLogger(__name__)

_FIELDS = {field.name for field in fields(Request)} - {"prompt", "count"}
_SEEDS = 2**32


def load(
    model: str | Path | Found = DEFAULT_MODEL,
    *,
    engine: str | None = None,
    precision: str | None = None,
    threads: int | None = None,
    max_memory: int | None = None,
    staged: bool = False,
    learn: bool = True,
    vae: str | Path | Found | None = None,
    embeddings: Sequence[str | Path] = (),
    prediction: str | None = None,
    preview_vae: str | Path | Found | None = None,
    int8_budget: float = DEFAULT_DB,
    rewrite: Rewrite | None = None,
    tap: Tap | None = None,
    compile_cache: int = 0,
) -> Model:
    """Open a model: a name, a diffusers folder, or a single .safetensors file.

    A name is that of a built-in model, of one that was fetched (`nutshell pull`), or of one on a removable drive;
    nothing is fetched here. What `nutshell.store.find` found elsewhere may be given too.

    engine: "openvino", "onnx", "torch" (or "torch:cuda", ...), "numpy"; precision: "f32", "bf16", "f16";
    threads: processor threads; each None for the best here. max_memory: bytes of memory that may be resident at
    most, None for 85% of what is free. staged: free each stage before the next, even where there is memory for all.
    learn: whether measured figures, kept in the user's state folder, correct the next estimate. vae: another
    autoencoder, full or tiny: a name, folder or file too, "tiny" for the one that its card names, "full" for its own
    even where only the tiny one would fit. embeddings: textual-inversion files, called in prompts by their names.
    prediction: "epsilon", "v_prediction" or "sample" where the files do not say. preview_vae: a tiny autoencoder for
    sharper previews than the linear ones. int8_budget: how near to float32 eight bits must stay, in dB: above 0 at
    least, else at most so much below the nearest (see `nutshell.quantization.kept_layers`). rewrite: makes of each
    network the one to run in its place, told apart by `Network.part`. tap: told of every run of a network.
    compile_cache: bytes of disk in the user's cache folder that compiled networks may take, 0 to keep none. Headers
    and sizes are checked now, weights are read when the first picture is drawn. Raises a NutshellError that says what
    is wrong.
    """
    found = find(model)
    checkpoint, card = open_checkpoint(found.path, base=found.base), found.card
    other = choose_vae(vae, card)
    opened = open_part(other.path, "vae") if other is not None else checkpoint.open("vae")
    facts = read_facts(checkpoint, opened, card.name if card else found.path.stem, card, prediction)
    inversions = [load_embedding(Path(file)) for file in embeddings]
    for inversion in inversions:
        inversion.check_width(facts.text.width)
    tokenizer = open_tokenizer(checkpoint, facts)
    if inversions:
        tokenizer = tokenizer.with_placeholders({item.name: len(item.vectors) for item in inversions})
    extra = np.concatenate([item.vectors for item in inversions]) if inversions else None
    text, denoiser = checkpoint.open("text_encoder"), checkpoint.open("unet")
    parts = {
        "text_encoder": text,
        "unet": denoiser,
        "unet_outer": denoiser,
        "vae_decoder": opened,
        "vae_encoder": opened,
    }
    installed = installed_engines()
    # A card's driver may take a second to answer, and is of use to PyTorch alone.
    machine = probe(gpus=installed.has("torch"))
    small = _eight_bits(found, checkpoint, machine, int8_budget, precision, own_vae=vae is None)
    planner = Planner.of(
        machine,
        installed,
        models=found.path.absolute(),
        learn=learn,
        precision=precision,
        threads=threads,
        max_memory=max_memory,
    )
    given: dict[str, Engine] = {}
    if engine is not None:
        # Opened now: a name that is wrong, or an engine that is not here, is said before anything is read.
        given[engine.removesuffix(":cpu")] = asked = open_engine(engine)
        planner = planner.only(engine, tuple(asked.precisions))
    if staged:
        planner = planner.one_stage_at_a_time()
    preview = None
    if preview_vae is not None:
        plain = None if precision in EIGHT_BITS else precision
        preview = _tiny_preview(find(preview_vae).path, next(iter(given.values()), None) or _engine(), plain)
    engines = Engines(given, open_cache(compile_cache, planner.machine))
    return Model(
        facts,
        tokenizer,
        Kit(facts, Stages(engines, parts, rewrite, tap, small, Watch()), text.weights, extra, preview),
        parts,
        planner,
        engines,
        small,
        tiny_vae(card) if vae is None else None,
    )


class Model:
    """A model that draws. Make it with `nutshell.load`; close it, or use it in a `with`, to free memory.

    Not safe for use by several threads at once.
    """

    def __init__(
        self,
        facts: Facts,
        tokenizer: Tokenizer,
        kit: Kit,
        parts: Mapping[str, Part],
        planner: Planner,
        engines: Engines,
        small: EightBits | None = None,
        tiny: Found | None = None,
    ) -> None:
        """tiny: the autoencoder that draws where memory does not do for the model's own."""
        self.facts = facts
        self.tokenizer = tokenizer
        self._kit = kit
        self._parts = parts
        self._planner = planner
        self._engines = engines
        self._small = small or EightBits()
        self._tiny = TinyWay(kit, parts, tiny) if tiny is not None else None
        self._loaded = False
        self._closed = False
        self._told: set[str] = set()

    def generate(self, prompt: str, *, on_step: OnStep | None = None, **request: Any) -> Picture:
        """Draw one picture. Further arguments are those of `Request`.

        on_step is told after every step; an exception raised in it ends the run and comes out here.
        """
        unknown = sorted(set(request) - _FIELDS)
        if unknown:
            raise UsageError(
                tr("generate has no argument {unknown!r}", unknown=unknown[0]),
                tr("known: {fields}", fields=", ".join(sorted(_FIELDS))),
            )
        return next(self.draw(Request(prompt, **request), on_step))

    def draw(self, request: Request, on_step: OnStep | None = None) -> Iterator[Picture]:
        """Yield the request's pictures, each as soon as it is done."""
        if self._closed:
            raise UsageError(tr("this model has been closed"), tr("load it again"))
        begun, meter = time.perf_counter(), PeakMeter()
        order = self._order(request)
        self._tell(order.notices)
        clock = StepClock(on_step)
        for seed, image, plan, drawn in self._drawn(order, clock):
            parameters = self._parameters(drawn, plan, seed)
            peak = meter.bytes()
            self._note(plan, peak, clock, drawn.savings.even)
            yield Picture(image, seed, parameters, time.perf_counter() - begun, peak)
            begun = time.perf_counter()

    def plan(self, order: Order, *, eight_bits: bool | None = None) -> Plan:
        """How an order would be run here. Raises NotEnoughMemory if it does not fit.

        eight_bits: None for whether the model's card allows them; True to learn how it would be run with a card.
        """
        return self._way(order, eight_bits)[0]

    def calibration_advice(self, request: Request) -> Text | None:
        """What to say of eight bits for a model that has no card, where they would help on this machine; else None."""
        order = self._order(request)
        return advice(self._planner, self._need(order), self._small)

    def order(self, request: Request) -> Order:
        """A request with everything settled as `draw` would. Raises UsageError."""
        return self._order(request)

    @property
    def parts(self) -> Mapping[str, Part]:
        """The open parts, by `Network.part`."""
        return self._parts

    def close(self) -> None:
        """Free every stage and unmap the files. Drawing again is an error."""
        self._closed = True
        self._kit.stages.close()
        if self._tiny is not None:
            self._tiny.close()
        if self._kit.preview is not None:
            self._kit.preview.close()
        for part in self._parts.values():
            part.close()

    def __enter__(self) -> Model:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _drawn(self, order: Order, clock: StepClock) -> Iterator[tuple[int, Image, Plan, Order]]:
        """Every picture with its seed, the plan that drew it, and the order as that plan could follow it. Where memory
        becomes too short while stages are loaded, what is left is drawn by a leaner plan, and so is everything after.
        """
        plan, kit = self._way(order)
        order = self._followed(order, plan)
        done = 0
        while done < order.request.count:
            try:
                for seed, image in draw(order.after(done), plan, kit, clock):
                    done += 1
                    yield seed, image, plan, order
            except MemoryPressure as error:
                kit.stages.close()
                self._planner = self._planner.under(plan.need_bytes)
                try:
                    plan, kit = self._way(order)
                except NotEnoughMemory:
                    raise error from None
                order = self._followed(order, plan)
                self._tell((tr("{problem}; drawing goes on in less memory, and takes longer", problem=error.message),))

    def _followed(self, order: Order, plan: Plan) -> Order:
        """`order` without attention in eight bits where `plan` cannot have it, which is told."""
        why = self._small.no_attention(plan) if order.savings.int8_attention else None
        if why is None:
            return order
        self._tell((why,))
        return replace(order, savings=replace(order.savings, int8_attention=False))

    def _way(self, order: Order, eight_bits: bool | None = None) -> tuple[Plan, Kit]:
        """The plan of an order, and what it draws with: the tiny autoencoder where only that fits."""
        try:
            plan = self._settled(self._need(order, eight_bits))
        except NotEnoughMemory:
            if self._tiny is None:
                raise
            plan = self._settled(order_need(order, self._tiny.kit.facts, self._tiny.parts))
            self._tell((self._tiny.notice,))
            self._kit.stages.close()
            return plan, self._tiny.kit
        if self._tiny is not None:
            self._tiny.rest()
        return plan, self._kit

    def _need(self, order: Order, eight_bits: bool | None = None) -> Need:
        need = order_need(order, self.facts, self._parts)
        ready = self._small.ready if eight_bits is None else eight_bits
        return replace(need, eight_bits=ready, no_eight_bits=self._small.why_not)

    def _settled(self, need: Need) -> Plan:
        plan, self._planner = settle(self._planner.on(probe(gpus=False)), need, self._engines)
        return plan

    def _order(self, request: Request) -> Order:
        native = self.facts.defaults
        width, height = native.width, native.height
        if request.image is not None:
            width, height = fitted_size(request.image, native.width * native.height)
        seed = secrets.randbelow(_SEEDS) if request.seed is None else request.seed
        return place_order(request, self.facts, self.tokenizer, request.width or width, request.height or height, seed)

    def _tell(self, notices: tuple[Text, ...]) -> None:
        """Each once, however many requests it is true of."""
        for notice in notices:
            if notice not in self._told:
                self._told.add(notice)
                _LOG.warning(notice)

    def _note(self, plan: Plan, peak_bytes: int, clock: StepClock, even: bool) -> None:
        """Once for each request: memory only of the first, in which everything was loaded; time where steps are
        `even`, for the median of others is not their mean."""
        planner, first = self._planner, not self._loaded
        self._loaded = True
        seconds = clock.step_seconds if even else None
        note_run(planner.ratios, plan, planner.held_bytes, peak_bytes if first else None, seconds)

    def _parameters(self, order: Order, plan: Plan, seed: int) -> dict[str, Any]:
        request = order.request
        given: dict[str, Any] = {
            "prompt": request.prompt,
            "negative_prompt": request.negative_prompt,
            "steps": request.steps or self.facts.defaults.steps,
            "sampler": order.run.sampler.title,
            "schedule": request.schedule or self.facts.defaults.schedule,
            "guidance": order.guidance,
            "seed": seed,
            "width": order.width,
            "height": order.height,
            "model": self.facts.name,
            "engine": plan.engine,
            "precision": plan.precision,
            "version": f"nutshell {__version__}",
        }
        if request.image is not None:
            given["strength"] = request.strength
        if request.clip_skip:
            given["clip_skip"] = request.clip_skip
        given |= order.savings.parameters()
        return {key: value for key, value in given.items() if value is not None}


def _eight_bits(
    found: Found, checkpoint: Checkpoint, machine: Machine, budget: float, precision: str | None, own_vae: bool
) -> EightBits:
    """What the model's card allows. A problem with a card is told, and is an error where eight bits were asked for."""
    here = find_card(found.path, checkpoint)
    cpu = kernel_cpu(machine.cpu)
    if precision not in (None, "int8"):
        return EightBits(**attention_of(here.card, cpu))
    halves = [name for name in processor_precisions(machine) if name in HALVES]
    small = eight_bits(here.card, budget, cpu, here.problem, halves)
    if small.problem is not None:
        if precision == "int8":
            raise small.problem
        _LOG.warning(tr("no eight bits: {problem}", problem=small.problem.message))
    if own_vae:
        return small
    # The card is about the model's own autoencoder.
    kept, plain = (_without_vae(scales) for scales in (small.scales, small.plain_scales))
    return replace(small, scales=kept, plain_scales=plain)


def _without_vae(scales: Mapping[str, Scales]) -> dict[str, Scales]:
    return {name: mine for name, mine in scales.items() if not name.startswith("vae")}


def _engine() -> Engine:
    """The first that is installed, and made for this processor."""
    machine = probe_processor()
    for candidate in NAMES:
        if lack(machine, candidate) is not None:
            continue
        try:
            return open_engine(candidate)
        except EngineUnavailable:
            continue
    raise EngineUnavailable(tr("no engine is installed"), tr("pip install openvino"))


def _tiny_preview(path: Path, engine: Engine, precision: str | None) -> TinyPreview:
    part = open_part(path, "vae")
    config = read_vae(part)
    if not isinstance(config, AutoencoderTinyConfig):
        raise UsageError(
            tr("{path} is a full autoencoder, too slow for previews", path=path), tr("name a tiny one (TAESD)")
        )
    return TinyPreview(engine, part, config, precision)


def open_tokenizer(checkpoint: Checkpoint, facts: Facts) -> Tokenizer:
    """The checkpoint's own, else CLIP's with the family's padding: SD 2.x pads with token 0."""
    if checkpoint.tokenizer_folder is not None:
        return Tokenizer.from_folder(checkpoint.tokenizer_folder, facts.text.positions)
    bundled = Tokenizer.bundled(facts.text.positions, **({"pad_id": 0} if facts.text.activation == "gelu" else {}))
    if facts.text.vocabulary < bundled.vocabulary_size:
        raise ModelNotFound(
            tr(
                "{path} has no tokenizer folder, and its text encoder knows {vocabulary} tokens, not CLIP's "
                "{vocabulary_size}",
                path=checkpoint.path,
                vocabulary=facts.text.vocabulary,
                vocabulary_size=bundled.vocabulary_size,
            ),
            tr("the model folder is incomplete"),
        )
    return bundled
