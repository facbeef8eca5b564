"""An autoencoder that lies by itself, in each form it is handed around in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nutshell.errors import ModelNotFound, UnsupportedModel
from nutshell.weights import Part, Tensor, open_part, to_ldm


def assert_is(part: Part, network: Any) -> None:
    with part:
        expected = network.state_dict()
        assert set(part.weights.names()) == set(expected)
        for name, tensor in expected.items():
            np.testing.assert_array_equal(part.weights.take(name, tuple(tensor.shape)).array(), tensor.numpy())


@pytest.mark.reference
def test_every_form_of_a_vae(folder: Path, parts: dict[str, Any], tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    vae = parts["vae"]
    assert_is(open_part(folder), vae)
    assert_is(open_part(folder / "vae"), vae)
    assert_is(open_part(folder / "vae" / "diffusion_pytorch_model.safetensors"), vae)
    ldm = to_ldm("vae", {name: Tensor.of(name, value.numpy()) for name, value in vae.state_dict().items()})
    written = {name: torch.from_numpy(tensor.array().copy()) for name, tensor in ldm.items()}
    bare = {name.removeprefix("first_stage_model."): tensor for name, tensor in written.items()}
    save_file(written, tmp_path / "prefixed.safetensors")
    save_file({**bare, "loss.logvar": torch.zeros(1)}, tmp_path / "bare.safetensors")
    assert_is(open_part(tmp_path / "prefixed.safetensors"), vae)
    assert_is(open_part(tmp_path / "bare.safetensors"), vae)


def test_what_is_no_vae(tmp_path: Path, names_only: Any) -> None:
    with pytest.raises(ModelNotFound):
        open_part(tmp_path / "none")
    with pytest.raises(ModelNotFound, match="no vae"):
        open_part(tmp_path)
    with pytest.raises(UnsupportedModel, match="no autoencoder"):
        open_part(names_only({"a": (1,)}))
