"""Eight bits in linears' weights alone: close to float32, fewer bytes, convolutions untouched."""

from __future__ import annotations

import numpy as np
from examples import random_weights, snr
from test_int8 import SUBJECTS, UNET

from nutshell.engines import open_engine
from nutshell.engines.cost import price
from nutshell.networks import unet
from nutshell.networks.ops import Int8Weight, Ops, Padding, Weight
from nutshell.quantization import with_int8_linears
from nutshell.quantization.weights_only import LinearWeights
from nutshell.weights import Tensor


def test_close_to_float32() -> None:
    subject = SUBJECTS["unet"]()
    small = with_int8_linears(subject.network)
    for name in ("openvino", "numpy"):
        engine = open_engine(name)
        wanted, got = (
            engine.compile(network, subject.weights, "f32")(**subject.inputs(1)) for network in (subject.network, small)
        )
        assert 30 < snr(got, wanted) < 80


def test_only_linears_shrink() -> None:
    weights, network = random_weights(unet.account, UNET), unet.denoiser(UNET, 4, 4, 5)
    plain, small = price(network, weights), price(with_int8_linears(network), weights)
    assert small.parameters == plain.parameters
    # Three bytes less for each value of a linear's weight, four more for each of its rows.
    linears = [tensor for name, tensor in zip(weights.names(), weights.tensors(), strict=True) if
               name.endswith(".weight") and len(tensor.shape) == 2]  # fmt: skip
    assert plain.linear_parameters == sum(tensor.size for tensor in linears)
    saved = sum(3 * tensor.size - 4 * tensor.shape[0] for tensor in linears)
    assert plain.weight_bytes - small.weight_bytes == saved > 0


def test_each_weight_is_told_once_it_is_made() -> None:
    told: list[int] = []
    given: list[Weight] = []

    class Noted:
        def linear(self, x: object, weight: Weight, bias: Tensor | None) -> object:
            given.append(weight)
            return x

        def conv2d(self, x: object, weight: Weight, bias: Tensor | None, stride: int, padding: Padding) -> object:
            given.append(weight)
            return x

    inner: Ops[object] = Noted()  # type: ignore[assignment]
    ops = LinearWeights(inner, told.append)
    half = Tensor.of("w", np.ones((4, 3), np.float16))
    ops.linear(None, half, None)
    ops.conv2d(None, half, None, 1, (0, 0, 0, 0))
    assert isinstance(given[0], Int8Weight)
    assert given[1] is half
    assert told == []
    given[0].read()
    assert told == [24]
