"""What a client sends, decoded."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from PIL import Image

from nutshell.errors import UsageError
from nutshell.service.wish import Limits, Wish
from nutshell.settings import BY_NAME


def png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def test_sixteen_bits_of_grey_are_not_all_white() -> None:
    ramp = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    wish = Wish("p", "m", image=png(Image.new("RGB", (8, 8))), mask=png(Image.fromarray(ramp)))
    wish.check(Limits())
    mask = wish.request().mask
    assert mask is not None
    assert np.abs(np.asarray(mask, np.float32) - ramp / 256).max() <= 1


def test_what_is_left_out_reaches_the_pipeline_and_is_checked_first() -> None:
    asked = {"fast": True, "reuse": 3, "reuse_depth": 2, "merge": 0.5, "fewer_keys": False, "int8_attention": True}
    asked |= {"guidance_interval": (0.25, 0.75)}
    wish = Wish("p", "m", **asked)
    assert {name: getattr(wish.request(), name) for name in asked} == asked
    assert Wish.from_json(json.loads(json.dumps(wish.to_json()))) == wish
    # What an older version wrote knows nothing of it.
    old = {key: value for key, value in wish.to_json().items() if key not in asked}
    assert Wish.from_json(old).request().reuse is None
    with pytest.raises(UsageError) as caught:
        Wish("p", "m", merge=0.9).check(Limits())
    assert caught.value.field == "merge"


@pytest.mark.parametrize("precision", BY_NAME["precision"].kind.names)
def test_a_precision_is_one_of_the_settings(precision: str) -> None:
    wish = Wish("p", "m", precision=precision)
    wish.check(Limits())
    assert Wish.from_json(wish.to_json()) == wish
    with pytest.raises(UsageError, match="int8_weights") as caught:
        Wish("p", "m", precision=precision + "!").check(Limits())
    assert caught.value.field == "precision"


@pytest.mark.parametrize("data", [b"", b"GIF89a", png(Image.new("L", (8, 8)))[:40]])
def test_what_is_no_picture_is_told_by_its_field(data: bytes) -> None:
    with pytest.raises(UsageError, match="not a picture") as caught:
        Wish("p", "m", image=data).check(Limits())
    assert caught.value.field == "image"
