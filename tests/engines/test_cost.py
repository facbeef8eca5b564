"""The cost interpreter against counts made by hand and by PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nutshell.engines.cost import CostOps, price
from nutshell.networks.ops import Input, Network
from nutshell.networks.unet import denoiser
from nutshell.networks.unet_config import UNetConfig
from nutshell.weights import Tensor, Weights


def weights(**shapes: tuple[int, ...]) -> Weights:
    return Weights({name: Tensor(name, "F16", shape) for name, shape in shapes.items()}, "test")


def chain(ops: Any, given: Weights, inputs: Any) -> Any:
    x = ops.conv2d(inputs["x"], given.take("w", (8, 4, 3, 3)), given.take("b", (8,)), 2, (1, 1, 1, 1))
    x = ops.reshape(x, (1, 8, 16))
    x = ops.linear(x, given.take("m", (5, 16)), None)
    return ops.add(x, x)


def test_counts_by_hand() -> None:
    network = Network("test", "test", {"x": Input((1, 4, 8, 8))}, chain)
    cost = price(network, weights(w=(8, 4, 3, 3), b=(8,), m=(5, 16)))
    assert cost.operations == 2 * 8 * 16 * 4 * 9 + 2 * 8 * 5 * 16 + 40
    assert cost.parameters == 288 + 8 + 80
    assert cost.weight_bytes == 2 * cost.parameters
    # The input (256 values) and the convolution's result (128) are alive together; then it only shrinks.
    assert cost.peak_activation_bytes == 4 * (256 + 128)


def test_a_misfit_is_an_error() -> None:
    ops = CostOps()
    with pytest.raises(ValueError, match="does not fit"):
        ops.linear(ops.value((1, 3)), Tensor("m", "F32", (5, 4)), None)
    with pytest.raises(ValueError, match="combine"):
        ops.add(ops.value((1, 3)), ops.value((1, 4)))
    with pytest.raises(ValueError, match="reshape"):
        ops.reshape(ops.value((1, 3)), (4,))


@pytest.mark.reference
def test_counts_as_pytorch_does() -> None:
    torch = pytest.importorskip("torch")
    diffusers = pytest.importorskip("diffusers")
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    model = diffusers.UNet2DConditionModel(
        block_out_channels=(32, 64, 64, 64), cross_attention_dim=48, attention_head_dim=2
    )
    model.eval()
    state = {name: Tensor.of(name, value.numpy()) for name, value in model.state_dict().items()}
    config = UNetConfig.read(dict(model.config))
    cost = price(denoiser(config, 32, 32, 77), Weights(state, "unet"))
    # The fused kernels of the processor are unknown to the counter.
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, 4, 32, 32), 1, torch.zeros(1, 77, 48))
    # PyTorch counts matrix products only; ours adds the cheap operations.
    assert counter.get_total_flops() <= cost.operations <= 1.1 * counter.get_total_flops()
    assert cost.parameters == sum(value.numel() for value in model.parameters())
    assert np.isclose(cost.weight_bytes, 4 * cost.parameters)
