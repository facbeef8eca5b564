"""Pruned models on disk: BK-SDM's recipes against copying by hand, exact shapes, and nothing lost that did nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")

import nutshell  # noqa: E402
from bench.models import SPECS, unet_shapes  # noqa: E402
from nutshell.catalogue import cards  # noqa: E402
from nutshell.compress import cutting  # noqa: E402
from nutshell.compress.job import write_model  # noqa: E402
from nutshell.compress.original import open_original  # noqa: E402
from nutshell.compress.prune import Prune, Sparsify  # noqa: E402
from nutshell.compress.recipes import RECIPES, Wishes, shape_wished  # noqa: E402
from nutshell.compress.shapes import config_of, shape_of  # noqa: E402
from nutshell.compress.wiring import wire  # noqa: E402
from nutshell.errors import UnsupportedModel, UsageError  # noqa: E402
from nutshell.networks.unet_config import UNetConfig  # noqa: E402
from nutshell.weights import open_checkpoint  # noqa: E402
from tests.compress.models import SD1, largest_error, ours, small_sd1, theirs  # noqa: E402

pytestmark = pytest.mark.reference

# "copy_weight_from_teacher" of github.com/Nota-NetsPresso/BK-SDM: what a student's name is called in the teacher.
RENAMED = {
    "base": [(f"up_blocks.{n}.{part}.1.", f"up_blocks.{n}.{part}.2.")
             for n in range(4) for part in ("resnets", "attentions")],
    "tiny": [(f"up_blocks.{n}.{part}.{to}.", f"up_blocks.{n + 1}.{part}.{came}.")
             for n in range(3) for part in ("resnets", "attentions") for to, came in ((0, 0), (1, 2))]
    + [(f"up_blocks.{n}.upsamplers.", f"up_blocks.{n + 1}.upsamplers.") for n in range(3)],
}  # fmt: skip
RENAMED["small"] = RENAMED["base"]
CHANGES: dict[str, dict[str, Any]] = {
    "base": {"layers_per_block": 1},
    "small": {"layers_per_block": 1, "mid_block_type": None},
    "tiny": {
        "layers_per_block": 1,
        "mid_block_type": None,
        "block_out_channels": SD1["block_out_channels"][:3],
        "down_block_types": SD1["down_block_types"][:3],
        "up_block_types": SD1["up_block_types"][1:],
    },
}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """(diffusers' pipeline, its folder)."""
    folder = tmp_path_factory.mktemp("prune") / "sd1"
    return small_sd1(folder), folder


def pruned(folder: Path, output: Path, wishes: Wishes) -> Path:
    return write_model(open_original(folder), Prune(wishes), output, lambda *_: None).path


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_copies_what_bk_sdm_copies(source: tuple[Any, Path], tmp_path: Path, recipe: str) -> None:
    pipe, folder = source
    made = pruned(folder, tmp_path / recipe, Wishes(recipe))
    # diffusers would put its own values where the whole UNet had them.
    known = {key: value for key, value in pipe.unet.config.items() if not key.startswith("_")}
    student = diffusers.UNet2DConditionModel.from_config({**known, **CHANGES[recipe]})
    teacher = pipe.unet.state_dict()
    copied = {}
    for name in student.state_dict():
        came = next((name.replace(to, came) for to, came in RENAMED[recipe] if name.startswith(to)), name)
        copied[name] = teacher[came]
    student.load_state_dict(copied)
    opened = diffusers.UNet2DConditionModel.from_pretrained(made / "unet")
    assert opened.state_dict().keys() == student.state_dict().keys()
    assert all(torch.equal(tensor, copied[name]) for name, tensor in opened.state_dict().items())
    assert largest_error(ours(made), theirs(student)) < 1e-3


@pytest.mark.parametrize(
    ("recipe", "parameters"), [("base", 579_384_964), ("small", 482_346_884), ("tiny", 323_384_964)]
)
def test_of_stable_diffusion_it_has_the_published_shapes(recipe: str, parameters: int) -> None:
    """Headers only: every tensor stands for its shape, in one byte a value."""
    whole = SPECS["sd15"].unet
    stored = unet_shapes(UNetConfig.read(whole))
    shape = shape_wished(shape_of(UNetConfig.read(whole)), Wishes(recipe))
    wiring = wire(shape_of(UNetConfig.read(whole)), shape)
    kept = cutting.select(wiring, {}, copy_absent=True)
    shapes = {
        name: cutting.cut(wiring, kept, name, lambda name: np.broadcast_to(np.int8(0), stored[name])).shape
        for name in wiring.tensors
    }
    card = cards()[f"bk-sdm-{recipe}"].shapes["unet"]
    config = config_of(shape, whole)
    for key, value in card.items():
        assert config[key] == (value or None), key
    with torch.device("meta"):
        wanted = diffusers.UNet2DConditionModel.from_config(config).state_dict()
    assert shapes == {name: tuple(tensor.shape) for name, tensor in wanted.items()}
    assert sum(np.prod(shape, dtype=int) for shape in shapes.values()) == parameters


def test_tiny_is_tiny_sd() -> None:
    whole = SPECS["sd15"].unet
    config = config_of(shape_wished(shape_of(UNetConfig.read(whole)), Wishes("tiny")), whole)
    assert UNetConfig.read(config) == UNetConfig.read(SPECS["tiny-sd"].unet)


def test_heads_that_say_nothing_go(source: tuple[Any, Path], tmp_path: Path) -> None:
    """With two of four heads silenced, what is left predicts what diffusers' whole UNet does."""
    pipe, folder = source
    teacher = diffusers.UNet2DConditionModel.from_pretrained(folder / "unet")
    with torch.no_grad():
        for name, parameter in teacher.named_parameters():
            if name.endswith("to_out.0.weight"):
                parameter.view(len(parameter), 4, -1)[:, [1, 2]] = 0
    loud = _with_unet(pipe, teacher, tmp_path / "loud")
    made = pruned(loud, tmp_path / "made", Wishes(heads=2))
    assert UNetConfig.read(open_checkpoint(made).config("unet") or {}).kept_heads == (2, 2, 2, 2)
    assert largest_error(ours(made), theirs(teacher)) < 1e-3
    assert largest_error(ours(made, "openvino"), theirs(teacher)) < 1e-3


def test_half_of_a_middle_of_twins_goes(source: tuple[Any, Path], tmp_path: Path) -> None:
    """Every channel between the middle's convolutions has a twin that nobody reads, so no norm can tell."""
    pipe, folder = source
    teacher = diffusers.UNet2DConditionModel.from_pretrained(folder / "unet")
    with torch.no_grad():
        for block in teacher.mid_block.resnets:
            for layer in (block.conv1, block.time_emb_proj, block.norm2):
                for parameter in (layer.weight, layer.bias):
                    parameter[1::2] = parameter[0::2]
            block.conv2.weight[:, 1::2] = 0
        teacher.mid_block.attentions[0].transformer_blocks[0].ff.net[2].weight[:, ::2] = 0
    loud = _with_unet(pipe, teacher, tmp_path / "loud")
    made = pruned(loud, tmp_path / "made", Wishes(halve_middle=True))
    assert largest_error(ours(made), theirs(teacher)) < 1e-3


def test_fewer_channels_open_in_diffusers_and_draw(source: tuple[Any, Path], tmp_path: Path) -> None:
    made = pruned(source[1], tmp_path / "narrow", Wishes(channels=0.5))
    opened = diffusers.UNet2DConditionModel.from_pretrained(made / "unet")
    assert tuple(opened.config.block_out_channels) == (16, 32, 48, 48)
    assert (opened.config.norm_num_groups, opened.config.attention_head_dim) == (8, 2)
    assert largest_error(ours(made), theirs(opened)) < 1e-3
    with nutshell.load(made, engine="onnx", learn=False) as model:
        picture = model.generate("a red apple", steps=1, width=64, height=64, seed=1)
    assert np.asarray(picture.image).std() > 0


def test_unstructured_zeros_are_the_smallest(source: tuple[Any, Path], tmp_path: Path) -> None:
    made = write_model(open_original(source[1]), Sparsify(0.3), tmp_path / "sparse", lambda *_: None)
    whole = source[0].unet.state_dict()
    for name, tensor in diffusers.UNet2DConditionModel.from_pretrained(made.path / "unet").state_dict().items():
        gone = tensor == 0
        if tensor.dim() < 2:
            assert torch.equal(tensor, whole[name])
            continue
        assert int(gone.sum()) == round(0.3 * tensor.numel())
        assert torch.equal(tensor[~gone], whole[name][~gone])
        assert whole[name][gone].abs().max() <= whole[name][~gone].abs().min()


@pytest.mark.parametrize(
    ("wishes", "hint"),
    [
        (Wishes(), "nothing would be taken out"),
        (Wishes("huge"), "no recipe"),
        (Wishes(channels=1.5), "is a share"),
        (Wishes(layers=3), "`layers_per_block` must be 1 to 2"),
        (Wishes(levels=9), "has 4 levels"),
    ],
)
def test_a_wish_that_cannot_be_met_says_why(
    source: tuple[Any, Path], tmp_path: Path, wishes: Wishes, hint: str
) -> None:
    with pytest.raises(UsageError, match=hint):
        pruned(source[1], tmp_path / "never", wishes)
    assert not list(tmp_path.iterdir())


def test_a_unet_of_uneven_levels_is_refused() -> None:
    config = UNetConfig.read({**SPECS["sd15"].unet, "layers_per_block": [2, 1, 2, 2]})
    with pytest.raises(UnsupportedModel, match="different depths"):
        shape_of(config)


def _with_unet(pipe: Any, unet: Any, folder: Path) -> Path:
    pipe.save_pretrained(folder)
    unet.save_pretrained(folder / "unet")
    return folder
