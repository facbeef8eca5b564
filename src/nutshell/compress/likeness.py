"""How alike two pictures are: PSNR and SSIM."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

F64 = npt.NDArray[np.float64]

_SIGMA = 1.5
_REACH = 5  # of the window: 11 pixels
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601


def psnr(first: npt.NDArray[Any], second: npt.NDArray[Any]) -> float:
    """Peak signal-to-noise ratio of two 8-bit pictures of one shape, in dB; infinite for equal ones."""
    error = float(np.mean(np.square(first.astype(np.float64) - second)))
    return float("inf") if error == 0 else float(10 * np.log10(255**2 / error))


def ssim(first: npt.NDArray[Any], second: npt.NDArray[Any]) -> float:
    """Structural similarity of two 8-bit pictures (height, width, 3), 1 for equal ones.

    Wang et al. 2004 (https://doi.org/10.1109/TIP.2003.819861): on luma, under a Gaussian window of 11 pixels and
    sigma 1.5, the mean over all places where the window fits.
    """
    x, y = (picture.astype(np.float64) @ _LUMA for picture in (first, second))
    mean_x, mean_y = _blurred(x), _blurred(y)
    variance_x = _blurred(x * x) - mean_x**2
    variance_y = _blurred(y * y) - mean_y**2
    covariance = _blurred(x * y) - mean_x * mean_y
    above = (2 * mean_x * mean_y + _C1) * (2 * covariance + _C2)
    below = (mean_x**2 + mean_y**2 + _C1) * (variance_x + variance_y + _C2)
    return float((above / below).mean())


def _blurred(values: F64) -> F64:
    places = np.arange(-_REACH, _REACH + 1)
    window = np.exp(-(places**2) / (2 * _SIGMA**2))
    window /= window.sum()
    for axis in (0, 1):
        values = np.lib.stride_tricks.sliding_window_view(values, len(window), axis) @ window
    return values
