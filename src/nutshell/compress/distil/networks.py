"""The denoiser as it learns and as it teaches: our own network, over PyTorch's tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nutshell.engines.torch_parameters import ParameterOps, placeholders
from nutshell.networks.unet import timestep_features, unet
from nutshell.networks.unet_config import UNetConfig
from nutshell.weights import Weights


def parameters_of(weights: Weights, device: str, dtype: Any) -> dict[str, Tensor]:
    """Copies of all stored tensors, by name."""
    found = zip(weights.names(), weights.tensors(), strict=True)
    return {name: torch.from_numpy(np.array(tensor.f32())).to(device, dtype) for name, tensor in found}


class Denoiser:
    """parameters: by name, on `device`. precision: of the arithmetic. train_steps: timesteps that there are."""

    def __init__(
        self, config: UNetConfig, parameters: Mapping[str, Tensor], device: str, precision: str, train_steps: int
    ) -> None:
        self.config, self.parameters = config, parameters
        self._ops = ParameterOps(parameters, device, precision)
        self._weights = placeholders(parameters, "unet")
        table = np.concatenate([timestep_features(config, float(step)) for step in range(train_steps)])
        self._times = torch.from_numpy(table).to(device)

    def __call__(self, latents: Tensor, steps: Tensor, condition: Tensor) -> Tensor:
        """Noisy latents (n, c, h, w), steps (n,), condition (n, tokens, width) -> prediction in float32."""
        return self._run(latents, steps, condition, lambda name, feature: None)

    def with_features(
        self, latents: Tensor, steps: Tensor, condition: Tensor, wanted: frozenset[str]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The same, and what comes out of the blocks that are `wanted`, in float32."""
        features: dict[str, Tensor] = {}

        def keep(name: str, feature: Tensor) -> None:
            if name in wanted:
                features[name] = feature.float()

        return self._run(latents, steps, condition, keep), features

    def _run(
        self, latents: Tensor, steps: Tensor, condition: Tensor, on_block: Callable[[str, Tensor], None]
    ) -> Tensor:
        dtype = self._ops.dtype
        given = latents.to(dtype), self._times[steps].to(dtype), condition.to(dtype)
        output, _ = unet(self._ops, self._weights, self.config, *given, on_block=on_block)
        predicted: Tensor = output.float()
        return predicted
