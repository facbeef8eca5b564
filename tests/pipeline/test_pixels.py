"""Pictures to arrays and back, masks, sizes."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from nutshell.pipeline.pixels import fitted_size, keep_outside, mask_array, picture_array, shrunk, to_image
from nutshell.pipeline.preview import linear_preview


def test_a_picture_survives_the_round_trip() -> None:
    values = np.random.default_rng(0).integers(0, 256, (16, 24, 3), dtype=np.uint8)
    array = picture_array(Image.fromarray(values), 24, 16)
    assert array.shape == (1, 3, 16, 24)
    assert -1 <= array.min() < array.max() <= 1
    np.testing.assert_array_equal(np.asarray(to_image(array)), values)


def test_out_of_range_is_clipped() -> None:
    extremes = np.array([-9.0, 9.0], np.float32).reshape(1, 1, 1, 2).repeat(3, 1)
    assert np.asarray(to_image(extremes)).tolist() == [[[0, 0, 0], [255, 255, 255]]]


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_lies_on_white(mode: str) -> None:
    clear = Image.new(mode, (8, 8))
    assert picture_array(clear, 8, 8).min() == 1.0


@pytest.mark.parametrize("mode", ["1", "L", "P", "I;16", "CMYK"])
def test_every_mode_is_read(mode: str) -> None:
    assert picture_array(Image.new(mode, (8, 8)), 16, 8).shape == (1, 3, 8, 16)


def test_a_camera_turned_on_its_side_is_turned_back() -> None:
    photo = Image.new("RGB", (16, 8))
    photo.getexif()[0x0112] = 6
    assert fitted_size(photo, 10_000) == (8, 16)


def test_masks_are_black_and_white() -> None:
    grey = Image.fromarray(np.array([[0, 127], [128, 255]], np.uint8)).resize((16, 16), Image.Resampling.NEAREST)
    mask = mask_array(grey, 16, 16)
    assert set(np.unique(mask)) == {0.0, 1.0}
    assert shrunk(mask, 8).tolist() == [[[[0.0, 0.0], [1.0, 1.0]]]]


def test_a_mask_drawn_on_nothing_keeps_the_rest() -> None:
    assert mask_array(Image.new("RGBA", (8, 8)), 8, 8).max() == 0.0


def test_outside_the_mask_nothing_changes() -> None:
    mask = np.zeros((1, 1, 8, 8), np.float32)
    mask[..., 4:] = 1
    mixed = np.asarray(keep_outside(Image.new("RGB", (8, 8), "red"), Image.new("RGB", (8, 8), "blue"), mask, 0))
    assert (mixed[:, :4] == (0, 0, 255)).all()
    assert (mixed[:, 4:] == (255, 0, 0)).all()


@pytest.mark.parametrize(
    ("size", "pixels", "fitted"),
    [
        ((256, 256), 65536, (256, 256)),
        ((4000, 3000), 262144, (592, 440)),
        ((1, 9000), 65536, (8, 4096)),
        ((3, 5), 99, (8, 8)),
    ],
)
def test_fitted_sizes(size: tuple[int, int], pixels: int, fitted: tuple[int, int]) -> None:
    assert fitted_size(Image.new("L", size), pixels) == fitted


def test_linear_preview_maps_channels_to_colours() -> None:
    latent = np.zeros((1, 2, 2, 2), np.float32)
    latent[0, 0, 0, 0] = 1
    matrix = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 0.5))
    image = np.asarray(linear_preview(latent, matrix))
    assert image[0, 0].tolist() == [255, 0, 128]
    assert image[1, 1].tolist() == [0, 0, 128]
    assert linear_preview(latent, matrix, 256).size == (256, 256)
    assert linear_preview(latent, ()).mode == "RGB"
