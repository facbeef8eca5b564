"""Our networks learn over PyTorch's tensors: gradients and features are those of diffusers' class."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")

from nutshell.compress.distil.networks import Denoiser  # noqa: E402
from nutshell.networks.unet_config import UNetConfig  # noqa: E402

pytestmark = pytest.mark.reference

SHAPES = {
    "two layers, a middle": {
        "block_out_channels": (16, 32, 32),
        "layers_per_block": 2,
        "down_block_types": ("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        "attention_head_dim": 4,
    },
    "no middle, linear projections": {
        "block_out_channels": (16, 32),
        "layers_per_block": 1,
        "down_block_types": ("CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
        "mid_block_type": None,
        "attention_head_dim": (2, 4),
        "use_linear_projection": True,
    },
}


def theirs_of(shape: dict[str, Any]) -> Any:
    torch.manual_seed(0)
    unet = diffusers.UNet2DConditionModel(sample_size=8, cross_attention_dim=12, norm_num_groups=4, **shape)
    with torch.no_grad():
        for parameter in unet.parameters():
            if parameter.dim() == 1:
                parameter += 0.2 * torch.randn_like(parameter)
    return unet


def ours_of(unet: Any) -> Denoiser:
    parameters = {name: value.detach().clone().requires_grad_() for name, value in unet.named_parameters()}
    return Denoiser(UNetConfig.read(unet.config), parameters, "cpu", "f32", 1000)


def given() -> tuple[Any, Any, Any]:
    return torch.randn(2, 4, 8, 8), torch.tensor([7, 981]), torch.randn(2, 5, 12)


@pytest.mark.parametrize("name", SHAPES)
def test_every_gradient_is_that_of_diffusers(name: str) -> None:
    theirs = theirs_of(SHAPES[name])
    ours, inputs, aim = ours_of(theirs), given(), torch.randn(2, 4, 8, 8)
    (theirs(*inputs).sample - aim).square().mean().backward()
    (ours(*inputs) - aim).square().mean().backward()
    assert ours.parameters.keys() == dict(theirs.named_parameters()).keys()
    for key, parameter in theirs.named_parameters():
        found = ours.parameters[key].grad
        assert found is not None, key
        assert (found - parameter.grad).abs().max() <= 1e-4 * parameter.grad.abs().max() + 1e-7, key


def test_features_are_what_comes_out_of_diffusers_blocks() -> None:
    theirs, inputs = theirs_of(SHAPES["two layers, a middle"]), given()
    seen: dict[str, Any] = {}

    def keep(name: str) -> Any:
        def hook(_module: Any, _given: Any, output: Any) -> None:
            seen[name] = output[0] if isinstance(output, tuple) else output

        return hook

    for level, block in enumerate(theirs.down_blocks):
        block.register_forward_hook(keep(f"down{level}"))
    theirs.mid_block.register_forward_hook(keep("middle"))
    for place, block in enumerate(theirs.up_blocks):
        block.register_forward_hook(keep(f"up{len(theirs.up_blocks) - 1 - place}"))
    with torch.no_grad():
        wanted = theirs(*inputs).sample
        predicted, found = ours_of(theirs).with_features(*inputs, frozenset(seen))
    torch.testing.assert_close(predicted, wanted, atol=1e-4, rtol=1e-4)
    assert found.keys() == seen.keys() == {"down0", "down1", "down2", "middle", "up2", "up1", "up0"}
    for name, feature in seen.items():
        torch.testing.assert_close(found[name], feature, atol=1e-4, rtol=1e-4)


def test_half_precision_keeps_the_weights_whole() -> None:
    """Arithmetic in bfloat16 over float32 weights: near the exact result, and gradients arrive in float32."""
    theirs, inputs = theirs_of(SHAPES["two layers, a middle"]), given()
    exact = ours_of(theirs)
    half = Denoiser(exact.config, exact.parameters, "cpu", "bf16", 1000)
    with torch.no_grad():
        wanted = exact(*inputs)
    half(*inputs).square().mean().backward()
    gradient = exact.parameters["conv_in.weight"].grad
    assert gradient is not None
    assert gradient.dtype == torch.float32
    with torch.no_grad():
        assert float((half(*inputs) - wanted).abs().max()) < 0.1 * float(wanted.std())
