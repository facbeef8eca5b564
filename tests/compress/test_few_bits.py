"""Weights in eight and four bits, and of lower rank: error bounds, readers that agree, models that diffusers opens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")

import nutshell  # noqa: E402
from nutshell.compress.job import write_model  # noqa: E402
from nutshell.compress.lowrank import LowRank, truncated  # noqa: E402
from nutshell.compress.original import open_original  # noqa: E402
from nutshell.compress.quantize import Quantize, group_size, int4, int8  # noqa: E402
from nutshell.engines import open_engine  # noqa: E402
from nutshell.errors import CorruptFile, UsageError  # noqa: E402
from nutshell.networks import layers  # noqa: E402
from nutshell.networks.ops import Input, Network  # noqa: E402
from nutshell.weights import Quantized, Tensor, Weights, open_checkpoint, open_safetensors  # noqa: E402
from nutshell.weights.quantized import packed, unpacked, with_quantized  # noqa: E402
from tests.compress.models import largest_error, ours, small_sd1, theirs  # noqa: E402
from tests.pipeline.conftest import write_single_file  # noqa: E402

pytestmark = pytest.mark.reference

WEIGHTS = "diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """(diffusers' pipeline, its folder)."""
    folder = tmp_path_factory.mktemp("bits") / "sd1"
    return small_sd1(folder), folder


def made(folder: Path, method: Any, output: Path) -> Path:
    return write_model(open_original(folder), method, output, lambda *_: None).path


def unet_of(folder: Path) -> Any:
    return diffusers.UNet2DConditionModel.from_pretrained(folder / "unet", torch_dtype=torch.float32)


def rounded_by_torch(weight: Any, bits: str, group: int = 64) -> Any:
    """PyTorch's own quantizer, a channel or group at a time."""
    if bits == "tensor":
        return torch.fake_quantize_per_tensor_affine(weight, float(weight.abs().max() / 127), 0, -127, 127)
    if bits == "channel":
        scale = weight.flatten(1).abs().amax(1) / 127
        return torch.fake_quantize_per_channel_affine(weight, scale, torch.zeros(len(weight)), 0, -127, 127)
    size = next(n for n in range(min(group, weight.shape[1]), 0, -1) if weight.shape[1] % n == 0)
    rows = weight.reshape(len(weight), -1, size, *weight.shape[2:]).movedim(2, -1)
    flat = rows.reshape(-1, size)
    scale = (flat.abs().amax(1) / 7).half().float()
    flat = torch.fake_quantize_per_channel_affine(flat, scale, torch.zeros(len(flat)), 0, -7, 7)
    return flat.reshape(rows.shape).movedim(-1, 2).reshape(weight.shape)


CASES = {
    "tensor": Quantize(per_tensor=True, parts=("unet",)),
    "channel": Quantize(parts=("unet",)),
    "int4": Quantize("int4", group=32, parts=("unet",)),
}


@pytest.mark.parametrize("kind", CASES)
def test_stored_bits_are_what_pytorch_rounds_to(source: tuple[Any, Path], tmp_path: Path, kind: str) -> None:
    """Weight by weight, and then what the denoiser predicts."""
    method = CASES[kind]
    folder = made(source[1], method, tmp_path / "few")
    reference = unet_of(source[1])
    count = 0
    with open_checkpoint(folder).open("unet") as part, torch.no_grad():
        for name, parameter in reference.named_parameters():
            tensor = part.weights.take(name, tuple(parameter.shape))
            if isinstance(tensor, Quantized):
                count += 1
                wanted = rounded_by_torch(parameter, kind, 32)
                # Halfway values may go either way in the last digit of a quotient.
                off = (torch.from_numpy(tensor.f32()) - wanted).abs() > 1e-6 * parameter.abs().max()
                assert off.float().mean() < 1e-3, name
                parameter.copy_(torch.from_numpy(tensor.f32()))
            else:
                assert np.array_equal(tensor.f32(), parameter.numpy())
    assert count > 100
    wanted = theirs(reference)
    # Four bits are widened by way of float16, which engines read.
    most = 1e-2 if kind == "int4" else 1e-3
    assert largest_error(ours(folder), wanted) < most
    assert largest_error(ours(folder, "onnx"), wanted) < most
    assert largest_error(ours(folder, "openvino"), wanted) < most
    small, whole = ((place / "unet" / WEIGHTS).stat().st_size for place in (folder, source[1]))
    assert small < (0.32 if kind != "int4" else 0.25) * whole


def test_errors_are_bounded_by_half_a_step() -> None:
    random = np.random.default_rng(0)
    weight = random.standard_normal((24, 96, 3, 3)).astype(np.float32)
    weight[3] = 0
    for per_tensor in (False, True):
        values, scales = int8(weight, per_tensor)
        shaped = scales.reshape(-1, 1, 1, 1)
        assert np.abs(values * shaped - weight).max() <= 0.5001 * scales.max()
        assert (np.abs(values * shaped - weight) <= 0.5001 * np.broadcast_to(shaped, weight.shape)).all()
    values, scales = int4(weight, 64)
    assert scales.shape == (24, 2, 3, 3)
    steps = np.repeat(scales, 48, axis=1)
    # A scale that float16 rounded down clips the largest value by up to 7 units of its last place.
    assert (np.abs(values * steps - weight) <= 0.505 * steps).all()
    assert np.array_equal(unpacked(packed(values)), values)
    assert [group_size(inputs, 64) for inputs in (320, 96, 768, 10)] == [64, 48, 64, 10]


def test_rounded_numbers_open_in_diffusers(source: tuple[Any, Path], tmp_path: Path) -> None:
    plain = made(source[1], Quantize("int4", dequantized=True), tmp_path / "plain")
    few = made(source[1], Quantize("int4"), tmp_path / "few")
    pipe = diffusers.StableDiffusionPipeline.from_pretrained(plain)
    assert largest_error(ours(plain), theirs(pipe.unet.float())) < 1e-3
    assert largest_error(ours(few), ours(plain)) < 1e-2
    with nutshell.load(few, engine="onnx", learn=False) as model:
        picture = model.generate("a red apple", steps=1, width=64, height=64, seed=1)
    assert np.asarray(picture.image).std() > 0


def test_scales_that_do_not_fit_are_named() -> None:
    weight = Tensor.of("a.weight", np.zeros((4, 6), np.int8))
    for scales in (np.zeros(3, np.float32), np.zeros((4, 1), np.float32)):
        with pytest.raises(CorruptFile, match=r"the scales of a\.weight have the shape"):
            with_quantized({"a.weight": weight, "a.weight.scale": Tensor.of("a.weight.scale", scales)})
    # Integers without scales, and scales of something else, are nobody's.
    alone = {"a.weight": weight, "b.weight.scale": Tensor.of("b.weight.scale", np.zeros(4, np.float32))}
    assert with_quantized(alone) == alone


def test_all_of_the_energy_is_the_model_itself(source: tuple[Any, Path], tmp_path: Path) -> None:
    folder = made(source[1], LowRank(1.0), tmp_path / "same")
    with open_safetensors(folder / "unet" / WEIGHTS) as ours, open_safetensors(source[1] / "unet" / WEIGHTS) as whole:
        assert ours.tensors.keys() == whole.tensors.keys()
        assert all(np.array_equal(tensor.array(), whole.tensors[name].array()) for name, tensor in ours.tensors.items())


def test_the_rank_is_the_least_that_keeps_the_energy() -> None:
    matrix = torch.randn(48, 96) @ torch.diag(0.8 ** torch.arange(96)) @ torch.linalg.qr(torch.randn(96, 96))[0]
    values = torch.linalg.svdvals(matrix.double()).square()
    for energy in (0.5, 0.9, 0.99):
        found = truncated(matrix.numpy(), energy)
        assert found is not None
        up, down = found
        rank = up.shape[1]
        lost = float((matrix.double() - torch.from_numpy(up @ down)).square().sum() / values.sum())
        assert 1 - lost >= energy - 1e-5
        assert values[: rank - 1].sum() / values.sum() < energy
        assert lost == pytest.approx(float(values[rank:].sum() / values.sum()), abs=1e-5)
    assert truncated(torch.randn(48, 96).numpy(), 0.999) is None  # no gain: 48 of 48 directions
    assert truncated(np.zeros((48, 96), np.float32), 0.9) is None


def test_factors_do_what_their_product_does(source: tuple[Any, Path], tmp_path: Path) -> None:
    """The folded model is diffusers' own to run; the factored one is smaller, and predicts the same."""
    folded = made(source[1], LowRank(0.7, parts=("text_encoder", "unet")), tmp_path / "folded")
    factors = made(source[1], LowRank(0.7, True, ("text_encoder", "unet")), tmp_path / "factors")
    wanted = theirs(unet_of(folded))
    assert largest_error(theirs(unet_of(source[1])), wanted) > 1e-2
    for engine in ("numpy", "openvino", "onnx"):
        assert largest_error(ours(factors, engine), wanted) < 1e-3
    sizes = [(folder / "unet" / WEIGHTS).stat().st_size for folder in (factors, folded)]
    assert sizes[0] < 0.95 * sizes[1]
    with pytest.raises(UsageError, match="stored as factors already"):
        made(factors, LowRank(), tmp_path / "again")
    with nutshell.load(factors, engine="onnx", learn=False) as model:
        picture = model.generate("a red apple", steps=1, width=64, height=64, seed=1)
    assert np.asarray(picture.image).std() > 0


def test_a_layer_of_factors_states_their_shapes() -> None:
    """A factor that does not fit is found before anything runs, and a 1x1 convolution has factors too."""
    random = np.random.default_rng(0)
    up, down, x = (random.standard_normal(shape).astype(np.float32) for shape in ((8, 2), (2, 6), (1, 6, 3, 3)))
    tensors = {
        "proj.up.weight": Tensor.of("up", up.reshape(8, 2, 1, 1)),
        "proj.down.weight": Tensor.of("down", down.reshape(2, 6, 1, 1)),
    }

    def run(ops: Any, weights: Weights, given: Any) -> Any:
        return layers.conv2d(ops, weights.at("proj"), given["x"], 8, kernel=1, bias=False)

    network = Network("test", "test", {"x": Input(x.shape)}, run)
    session = open_engine("numpy").compile(network, Weights(tensors))
    np.testing.assert_allclose(session(x=x), np.einsum("oi,bihw->bohw", up @ down, x), rtol=1e-5, atol=1e-5)


def test_a_single_file_becomes_a_folder_that_diffusers_opens(source: tuple[Any, Path], tmp_path: Path) -> None:
    single = write_single_file(source[1], tmp_path / "sd1.safetensors")
    folder = made(single, Quantize(dequantized=True, parts=("vae",)), tmp_path / "folder")
    pipe = diffusers.StableDiffusionPipeline.from_pretrained(folder)
    assert pipe.tokenizer("a red apple").input_ids == source[0].tokenizer("a red apple").input_ids
    ids = torch.tensor([pipe.tokenizer("a red apple", padding="max_length").input_ids])
    with torch.no_grad():
        said = [one.text_encoder.float()(ids).last_hidden_state for one in (pipe, source[0])]
    assert largest_error(said[0].numpy(), said[1].numpy()) < 1e-3
    wanted = source[0].unet.state_dict()
    assert all(torch.equal(tensor, wanted[name]) for name, tensor in pipe.unet.float().state_dict().items())


@pytest.mark.parametrize(
    "wish",
    [lambda: Quantize("int2"), lambda: Quantize("int4", per_tensor=True), lambda: Quantize("int4", group=5),
     lambda: LowRank(0), lambda: LowRank(factors=True, parts=("vae",))],
)  # fmt: skip
def test_wishes_that_make_no_sense_are_refused(wish: Any) -> None:
    with pytest.raises(UsageError):
        wish()
