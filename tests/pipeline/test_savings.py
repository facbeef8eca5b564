"""What is left out of a picture: settled, priced, told, and drawn as an independent loop draws it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import nutshell
from nutshell.catalogue import cards
from nutshell.errors import NotEnoughMemory, UsageError
from nutshell.machine import machine_with
from nutshell.networks import unet
from nutshell.networks.autoencoder_tiny import AutoencoderTinyConfig
from nutshell.networks.unet import Thrift
from nutshell.networks.unet_config import UNetConfig
from nutshell.pipeline import Request
from nutshell.pipeline import model as model_module
from nutshell.pipeline.needs import order_need
from nutshell.pipeline.savings import Passes, Savings, settle_savings
from nutshell.sampling import Diffusion
from nutshell.sampling import start as start_run
from nutshell.store import Found
from tests.pipeline.conftest import build_pipeline, psnr

SIZE = {"width": 64, "height": 64}
CONFIG = UNetConfig.read({})
TURBO = 4


@pytest.fixture(scope="module")
def model(model_folder: Path) -> Any:
    with nutshell.load(model_folder, precision="f32", engine="openvino", learn=False) as opened:
        yield opened


def pixels(picture: Any) -> np.ndarray:
    return np.asarray(picture.image)


# ---------------------------------------------------------------- what is asked for


def settled(cells: int = 64 * 64, steps: int = 20, guided: bool = True, **asked: Any) -> tuple[Savings, int]:
    savings, notices = settle_savings(Request("", **asked), CONFIG, cells, steps, guided)
    return savings, len(notices)


def test_nothing_is_left_out_unless_it_is_asked_for() -> None:
    assert settled() == (Savings(), 0)
    assert Savings().thrift == unet.WHOLE
    assert Savings().parameters() == {}


def test_attention_in_eight_bits_is_asked_for_by_name_alone() -> None:
    savings, notices = settled(int8_attention=True)
    assert (savings, notices) == (Savings(int8_attention=True), 0)
    assert savings.parameters() == {"int8_attention": True}
    plain, small = (unet.denoiser(CONFIG, 8, 8, 77, thrift=each.thrift) for each in (Savings(), savings))
    assert (plain.int8_attention, small.int8_attention) == (False, True)
    assert plain.name != small.name
    # --fast does not take it, and has nothing to say of it.
    assert settled(fast=True)[0].int8_attention is False
    assert settled(steps=TURBO, cells=16 * 16, guided=False, fast=True, int8_attention=True)[1] == 1


def test_each_is_asked_for_by_name() -> None:
    savings, notices = settled(reuse=3, reuse_depth=2, merge=0.5, fewer_keys=True, guidance_interval=(0.1, 0.6))
    assert savings == Savings(3, 2, 0.5, True, (0.1, 0.6))
    assert savings.thrift == Thrift(0.5, True, 2)
    assert notices == 0
    # Only the layers of the finest level can run alone.
    assert settled(reuse=3, reuse_depth=19)[0].reuse_depth == CONFIG.layers[0] + 1


def test_fast_takes_what_pays_and_words_of_ones_own_win() -> None:
    fast, notices = settled(fast=True)
    assert (fast.reuse > 1, fast.fewer_keys, fast.merge, notices) == (True, True, 0.0, 0)
    assert fast.guidance_interval[1] < 1
    # 256 tokens: attention is no large part there.
    assert not settled(cells=16 * 16, fast=True)[0].fewer_keys
    assert settled(fast=True, guided=False)[0].guidance_interval == (0.0, 1.0)
    own, _ = settled(fast=True, reuse=1, fewer_keys=False, guidance_interval=(0.0, 1.0), merge=0.25)
    assert own == Savings(merge=0.25)


def test_few_steps_have_nothing_to_reuse_and_it_is_said() -> None:
    for asked in ({"reuse": 2}, {"reuse": 2, "fast": True}):
        savings, _ = settled(steps=TURBO, **asked)
        assert savings.reuse == 1
    (notice,) = settle_savings(Request("", reuse=2), CONFIG, 4096, TURBO, False)[1]
    assert "nothing is reused" in notice
    (notice,) = settle_savings(Request("", fast=True), CONFIG, 32 * 8, TURBO, False)[1]
    assert "--fast leaves nothing out" in notice


@pytest.mark.parametrize(
    "wrong", [{"reuse": 0}, {"reuse": 21}, {"reuse_depth": 0}, {"merge": -0.1}, {"merge": 0.8}, {"merge": float("nan")}]
)
def test_what_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as caught:
        Request("", **wrong)
    assert caught.value.field == next(iter(wrong))


# ---------------------------------------------------------------- how often networks run


def counted(sampler: str, steps: int, savings: Savings, guided: bool) -> Passes:
    from nutshell.pipeline.savings import count_passes

    return count_passes(start_run(sampler, Diffusion(), steps), savings, guided)


def test_passes_by_hand() -> None:
    assert counted("ddim", 20, Savings(), False) == Passes(20, 0)
    assert counted("ddim", 20, Savings(), True) == Passes(40, 0)
    # Whole at 0, 3, ..., 18.
    assert counted("ddim", 20, Savings(reuse=3), False) == Passes(7, 13)
    assert counted("ddim", 20, Savings(reuse=3), True) == Passes(14, 26)
    # DDIM's timesteps fall from 951 by 50: the last at or above a quarter of training is 251, the 15th.
    assert counted("ddim", 20, Savings(guidance_interval=(0.0, 0.75)), True) == Passes(35, 0)
    # Guidance begins at the 11th (451): its first pass has no feature yet, and the 11th is none that is whole anyway.
    assert counted("ddim", 20, Savings(reuse=3, guidance_interval=(0.52, 1.0)), True) == Passes(7 + 4, 13 + 6)
    assert counted("heun", 3, Savings(reuse=2), False) == Passes(3, 2)


@pytest.mark.reference
def test_the_counts_are_those_of_a_run(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from nutshell.engines.openvino_engine import OpenVinoSession

    ran: list[str] = []
    plain = OpenVinoSession.run
    monkeypatch.setattr(
        OpenVinoSession, "run", lambda self, **inputs: (ran.append(self._name.split()[0]), plain(self, **inputs))[1]
    )
    request = Request("a cat", steps=9, seed=1, reuse=3, guidance=3.0, guidance_interval=(0.5, 0.9), **SIZE)
    order = model._order(request)
    next(model.draw(request))
    needed = {stage.name: stage.passes for stage in order_need(order, model.facts, model._parts).stages}
    assert needed == {name: ran.count(name) for name in needed}
    assert needed["unet_outer"] > 0


@pytest.mark.reference
def test_the_estimate_falls_by_what_the_cost_interpreter_says(model: Any) -> None:
    def operations(**asked: Any) -> int:
        order = model._order(Request("a cat", steps=20, width=256, height=256, **asked))
        need = order_need(order, model.facts, model._parts)
        return sum(stage.operations * stage.passes for stage in need.stages)

    whole = operations()
    for asked in ({"reuse": 3}, {"merge": 0.5}, {"fewer_keys": True}, {"guidance_interval": (0.0, 0.5)}):
        assert operations(**asked) < whole, asked
    assert operations(fast=True) < operations(reuse=3)


@pytest.mark.parametrize("asked", [{"reuse": 3}, {"merge": 0.5}, {"fewer_keys": True}, {"fast": True}])
def test_a_card_is_reckoned_with_them_too(asked: dict[str, Any]) -> None:
    from nutshell.pipeline.needs import card_need

    def operations(request: Request) -> int:
        return sum(s.operations * s.passes for s in card_need(cards()["tiny-sd"], 512, 512, 20, request).stages)

    whole = operations(Request(""))
    least = 0.35 if asked.keys() & {"reuse", "fast"} else 0.8
    assert least * whole < operations(Request("", **asked)) < (0.6 if least < 0.8 else 0.95) * whole


@pytest.mark.reference
def test_files_are_reckoned_as_an_order_is(model: Any) -> None:
    from nutshell.pipeline.needs import facts_need

    request = Request("a cat", steps=9, reuse=3, fewer_keys=True, guidance_interval=(0.0, 0.6), **SIZE)
    weights = {name: part.weights for name, part in model._parts.items() if name != "unet_outer"}
    assert facts_need(model.facts, weights, 64, 64, 9, request) == order_need(
        model._order(request), model.facts, model._parts
    )


# ---------------------------------------------------------------- pictures


@pytest.mark.reference
def test_off_is_the_very_same_picture(model: Any) -> None:
    plain = pixels(model.generate("a cat", steps=3, seed=5, **SIZE))
    off = model.generate(
        "a cat", steps=3, seed=5, fast=False, reuse=1, merge=0.0, fewer_keys=False, guidance_interval=(0.0, 1.0), **SIZE
    )
    np.testing.assert_array_equal(plain, pixels(off))
    assert not {"reuse", "merge", "fewer_keys"} & off.parameters.keys()


@pytest.mark.reference
@pytest.mark.parametrize("engine", ["openvino", "onnx", "torch"])
def test_a_picture_of_reused_features_is_that_of_diffusers_pipeline(
    reference: tuple[Any, Path], engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its UNet replaced, in PyTorch, by one that runs layer by layer and takes the inner layers' result again."""
    import torch

    pipe, folder = reference
    calls = {"whole": 0, "outer": 0}

    def forward(sample: Any, timestep: Any, encoder_hidden_states: Any, **_: Any) -> Any:
        place = forward.calls  # type: ignore[attr-defined]
        forward.calls += 1  # type: ignore[attr-defined]
        outputs = []
        # diffusers asks for both streams at once: the one without the prompt, then the one with it.
        for stream in range(2):
            by_hand = ByHand(pipe.unet, sample[stream : stream + 1], timestep, encoder_hidden_states[stream][None])
            if place % 2 == 0:
                out, forward.deep[stream] = by_hand.whole(1)  # type: ignore[attr-defined]
                calls["whole"] += 1
            else:
                out = by_hand.outer(forward.deep[stream], 1)  # type: ignore[attr-defined]
                calls["outer"] += 1
            outputs.append(out)
        return (torch.cat(outputs),)

    from tests.networks.test_thrift import ByHand as Layers

    class ByHand(Layers):
        def __init__(self, unet_: Any, latent: Any, timestep: Any, condition: Any) -> None:
            self.model, self.latent, self.condition = unet_, latent, condition
            self.time = unet_.time_embedding(unet_.time_proj(timestep.reshape(1)))

    forward.calls, forward.deep = 0, {}  # type: ignore[attr-defined]
    # What diffusers draws with every step whole, to know that reuse changes it.
    given = {"num_inference_steps": 6, "guidance_scale": 3.0, **SIZE}
    plain = pipe("a cat", generator=torch.Generator().manual_seed(5), **given).images[0]
    monkeypatch.setattr(pipe.unet, "forward", forward)
    expected: Image.Image = pipe("a cat", generator=torch.Generator().manual_seed(5), **given).images[0]
    monkeypatch.undo()
    assert calls == {"whole": 6, "outer": 6}
    with nutshell.load(folder, precision="f32", engine=engine, learn=False) as model:
        ours = model.generate("a cat", steps=6, seed=5, guidance=3.0, sampler="ddim", reuse=2, **SIZE)
    assert psnr(ours.image, expected) > 50
    assert psnr(plain, expected) < 48
    assert ours.parameters["reuse"] == 2


@pytest.mark.reference
@pytest.mark.parametrize("asked", [{"fast": True}, {"merge": 0.5}, {"fewer_keys": True}, {"reuse": 2}])
def test_a_seed_is_a_picture_with_each_of_them(model: Any, asked: dict[str, Any]) -> None:
    first, second = (pixels(model.generate("a cat", steps=6, seed=5, **SIZE, **asked)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert (first != pixels(model.generate("a cat", steps=6, seed=5, **SIZE))).any()


@pytest.mark.reference
def test_one_stage_at_a_time_draws_the_same(model: Any, model_folder: Path) -> None:
    asked: dict[str, Any] = {"steps": 6, "seed": 5, "reuse": 3, **SIZE}
    with nutshell.load(model_folder, precision="f32", engine="openvino", learn=False, staged=True) as staged:
        order = staged._order(Request("a cat", **asked))
        plan = staged.plan(order)
        assert plan.staged
        assert not plan.overlap
        picture = pixels(staged.generate("a cat", **asked))
        # Both networks of the denoiser are in memory at once, and the estimate knows it.
        assert plan.need_bytes >= staged.plan(staged._order(Request("a cat", steps=6, **SIZE))).need_bytes
    assert model.plan(model._order(Request("a cat", **asked))).overlap
    np.testing.assert_array_equal(picture, pixels(model.generate("a cat", **asked)))


# ---------------------------------------------------------------- the tiny autoencoder


@pytest.fixture(scope="module")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny") / "model"
    build_pipeline(folder, tiny_vae=True)
    return folder / "vae"


@pytest.fixture
def fetched(tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """As if `taesd`, which the card of tiny-sd names, had been fetched."""
    from nutshell.pipeline import tiny_vae

    monkeypatch.setattr(tiny_vae, "installed", lambda card, places: card.name == "taesd")
    monkeypatch.setattr(
        tiny_vae, "find", lambda name, places=None: Found(tiny_folder, None, cards()["taesd"]) if name == "taesd" else 0
    )
    return tiny_folder


@pytest.mark.reference
def test_fast_decodes_with_the_tiny_autoencoder_that_is_here(
    model_folder: Path, fetched: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from nutshell.pipeline.tiny_vae import choose_vae

    card = cards()["tiny-sd"]
    chosen = choose_vae(None, card, fast=True)
    assert chosen is not None
    assert chosen.path == fetched
    assert choose_vae("tiny", card) == chosen
    assert choose_vae("full", card, fast=True) is None
    assert choose_vae(None, card) is None
    # A model of which no tiny one is known.
    assert choose_vae(None, cards()["artist"], fast=True) is None
    with nutshell.load(Found(model_folder, None, card), vae="tiny", learn=False) as model:
        assert isinstance(model.facts.vae, AutoencoderTinyConfig)


def test_what_would_make_it_quicker_is_said(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    from nutshell.errors import ModelNotFound
    from nutshell.pipeline import tiny_vae

    monkeypatch.setattr(tiny_vae, "installed", lambda card, places: False)
    assert tiny_vae.choose_vae(None, cards()["tiny-sd"], fast=True) is None
    assert "nutshell pull taesd" in caplog.text
    with pytest.raises(ModelNotFound, match="no tiny autoencoder"):
        tiny_vae.choose_vae("tiny", cards()["artist"])


@pytest.mark.reference
def test_short_memory_takes_the_tiny_autoencoder_unless_it_is_forbidden(
    model_folder: Path, fetched: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    found = Found(model_folder, None, cards()["tiny-sd"])
    big = {"width": 512, "height": 512, "steps": 1, "seed": 1}
    with nutshell.load(found, learn=False, precision="f32", engine="openvino") as model:
        roomy = model.plan(model._order(Request("a cat", **big)))
        tiny = model._settled(
            order_need(model._order(Request("a cat", **big)), model._tiny.kit.facts, model._tiny.parts)
        )
        assert tiny.need_bytes < roomy.need_bytes

        # Between what the tiny one needs, one stage after another, and what the full one does.
        def short(**_: object) -> Any:
            return machine_with(usable_bytes=usable[0], cores=1)

        usable = [10**12]
        monkeypatch.setattr(model_module, "probe", short)
        least = []
        for facts, parts in ((model.facts, model._parts), (model._tiny.kit.facts, model._tiny.parts)):
            usable[0] = 1_000_000
            with pytest.raises(NotEnoughMemory) as refused:
                model._settled(order_need(model._order(Request("a cat", **big)), facts, parts))
            least.append(refused.value.need_bytes)
        usable[0] = int((least[0] + least[1]) / 2 / 0.85)
        plan, kit = model._way(model._order(Request("a cat", **big)))
        assert isinstance(kit.facts.vae, AutoencoderTinyConfig)
        assert plan.need_bytes < least[0]
        assert "memory is short" in caplog.text
        picture = model.generate("a cat", **big)
        assert picture.image.size == (512, 512)
        # A picture that fits is drawn by the full one, before and after.
        usable[0] = 10**12
        small = {"width": 64, "height": 64, "steps": 2, "seed": 3}
        after = pixels(model.generate("a cat", **small))
    with nutshell.load(found, vae="full", precision="f32", engine="openvino", learn=False) as plain:
        np.testing.assert_array_equal(after, pixels(plain.generate("a cat", **small)))
        # Where the full one was asked for by name, there is no other.
        assert plain._tiny is None
        usable[0] = 1_000_000
        with pytest.raises(NotEnoughMemory):
            plain.generate("a cat", **big)
