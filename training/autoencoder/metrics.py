"""How near a picture comes: PSNR and SSIM, and the differentiable SSIM of the loss."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, conv2d

SIGMA, WINDOW = 1.5, 11
_C1, _C2 = 0.01**2, 0.03**2


def psnr_db(first: Tensor, second: Tensor) -> Tensor:
    """Peak signal to noise ratio of each pair in dB; uint8 (n, 3, height, width) -> (n,)."""
    error = ((first.float() - second.float()) / 255).square().mean(dim=(1, 2, 3))
    return -10 * error.clamp_min(1e-10).log10()


def ssim(first: Tensor, second: Tensor) -> Tensor:
    """Structural similarity of each pair (Wang et al. 2004: Gaussian window 11, sigma 1.5); uint8 -> (n,)."""
    at = torch.arange(WINDOW, dtype=torch.float32) - WINDOW // 2
    window = torch.exp(-at.square() / (2 * SIGMA**2))
    window = (window / window.sum()).repeat(3, 1)

    def blur(x: Tensor) -> Tensor:
        across = conv2d(x, window.view(3, 1, 1, WINDOW), groups=3)
        return conv2d(across, window.view(3, 1, WINDOW, 1), groups=3)

    return _map(first.float() / 255, second.float() / 255, blur).mean(dim=(1, 2, 3))


def structure_loss(first: Tensor, second: Tensor) -> Tensor:
    """1 - SSIM in square windows of 7, of pictures in -1..1; a scalar with a gradient."""
    return 1 - _map((first + 1) / 2, (second + 1) / 2, lambda x: avg_pool2d(x, 7, stride=1)).mean()


def _map(x: Tensor, y: Tensor, blur: Callable[[Tensor], Tensor]) -> Tensor:
    mean_x, mean_y = blur(x), blur(y)
    var_x, var_y = blur(x * x) - mean_x**2, blur(y * y) - mean_y**2
    both = blur(x * y) - mean_x * mean_y
    return ((2 * mean_x * mean_y + _C1) * (2 * both + _C2)) / ((mean_x**2 + mean_y**2 + _C1) * (var_x + var_y + _C2))
