"""Autoencoders strip by strip: the same result as in one piece, and no more in memory than was said."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nutshell.engines import strips as running
from nutshell.engines.cost import CostOps, price
from nutshell.engines.numpy_engine import NumpyEngine
from nutshell.engines.strips import Moments, StripSession, price_strips
from nutshell.errors import EngineError
from nutshell.networks import autoencoder_kl
from nutshell.networks.autoencoder_kl import AutoencoderKLConfig
from nutshell.networks.autoencoder_kl_strips import decoder_strips, encoder_strips
from nutshell.networks.strips import Sweep, Window
from nutshell.networks.wanted import wanted_autoencoder
from nutshell.weights import Tensor, Weights

CONFIG = AutoencoderKLConfig((8, 16, 24), layers=1, groups=4)
# Levels whose widest maps have fewer bytes run in one piece: all large, the last level large.
CUTS = {"from the first": 1, "the last": 60_000}
ROWS = {"two": 1, "some": 20_000, "all": 10**9}


def weights(config: AutoencoderKLConfig = CONFIG) -> Weights:
    """Norms that shift and scale, so that a strip normalized by itself would show."""
    random = np.random.default_rng(1)
    tensors = {}
    for tensor in wanted_autoencoder(config, CostOps(), "F32").tensors():
        fan_in = max(1, int(np.prod(tensor.shape[1:])))
        values = random.standard_normal(tensor.shape) / np.sqrt(fan_in) + (len(tensor.shape) == 1) * 0.5
        tensors[tensor.name] = Tensor.of(tensor.name, values.astype(np.float32))
    return Weights(tensors)


def slanted(*shape: int) -> np.ndarray:
    """Noise that is brighter below: its strips' statistics differ."""
    noise = np.random.default_rng(2).standard_normal(shape)
    return (noise + np.linspace(-2, 2, shape[2])[:, None]).astype(np.float32)


def session(strips: Any, engine: Any, given: Weights) -> StripSession:
    assert strips is not None
    return StripSession(engine, strips, given, lambda network: network, "f32", 1)


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("cut", CUTS)
def test_a_picture_has_no_seams(cut: str, rows: str) -> None:
    engine, given, latent = NumpyEngine(), weights(), slanted(1, 4, 7, 10)
    whole = engine.compile(autoencoder_kl.decoder(CONFIG, 7, 10), given)(latent=latent)
    strips = decoder_strips(CONFIG, 7, 10, CUTS[cut], ROWS[rows])
    assert strips is not None
    assert len([step for step in strips.steps if isinstance(step, Sweep)]) > 5
    drawn = session(strips, engine, given)(latent=latent)
    assert drawn.shape == whole.shape == (1, 3, 28, 40)
    assert np.abs(drawn - whole).max() < 2e-5 * np.abs(whole).max()


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("cut", CUTS)
def test_a_latent_has_no_seams(cut: str, rows: str) -> None:
    engine, given, picture = NumpyEngine(), weights(), slanted(1, 3, 28, 60)
    whole = engine.compile(autoencoder_kl.encoder(CONFIG, 28, 60), given)(picture=picture)
    strips = encoder_strips(CONFIG, 28, 60, min(CUTS[cut], 50_000), ROWS[rows])
    seen = session(strips, engine, given)(picture=picture)
    assert seen.shape == whole.shape == (1, 8, 7, 15)
    assert np.abs(seen - whole).max() < 2e-5 * np.abs(whole).max()


@pytest.mark.parametrize("name", ["onnx-lean", "onnx", "openvino"])
def test_engines_agree(name: str) -> None:
    from nutshell.engines import open_engine
    from nutshell.engines.onnx_engine import OnnxEngine

    engine = OnnxEngine(lean=True) if name == "onnx-lean" else open_engine(name)
    given, latent = weights(), slanted(1, 4, 7, 10)
    whole = NumpyEngine().compile(autoencoder_kl.decoder(CONFIG, 7, 10), given)(latent=latent)
    drawn = session(decoder_strips(CONFIG, 7, 10, 1, 20_000), engine, given)(latent=latent)
    assert np.abs(drawn - whole).max() < 1e-3 * whole.std()


@pytest.mark.reference
def test_strips_are_diffusers_autoencoder() -> None:
    torch = pytest.importorskip("torch")
    diffusers = pytest.importorskip("diffusers")
    torch.manual_seed(0)
    model = diffusers.AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(16, 32, 48),
        norm_num_groups=8,
        layers_per_block=2,
    ).eval()
    config = AutoencoderKLConfig.read(dict(model.config))
    given = Weights({name: Tensor.of(name, value.numpy()) for name, value in model.state_dict().items()})
    latent, picture = slanted(1, 4, 6, 5), slanted(1, 3, 24, 20)
    with torch.no_grad():
        decoded = model.decode(torch.from_numpy(latent)).sample.numpy()
        moments = model.encode(torch.from_numpy(picture)).latent_dist.parameters.numpy()
    engine = NumpyEngine()
    drawn = session(decoder_strips(config, 6, 5, 1, 1), engine, given)(latent=latent)
    seen = session(encoder_strips(config, 24, 20, 1, 1), engine, given)(picture=picture)
    assert np.abs(drawn - decoded).max() < 1e-4 * decoded.std()
    assert np.abs(seen - moments).max() < 1e-4 * moments.std()


def test_small_maps_are_not_cut() -> None:
    assert decoder_strips(AutoencoderKLConfig((128, 256, 512, 512)), 16, 16) is None
    assert encoder_strips(CONFIG, 28, 60) is None


def test_less_memory_at_512_pixels() -> None:
    config = AutoencoderKLConfig((128, 256, 512, 512))
    given = wanted_autoencoder(config, CostOps(), "F16")
    decoder, encoder = autoencoder_kl.decoder(config, 64, 64), autoencoder_kl.encoder(config, 512, 512)
    for network, share in ((decoder, 0.25), (encoder, 0.5)):
        whole = price(network, given)
        assert network.strips is not None
        cut = price_strips(network.strips, given)
        # The largest input of a residual block, and the strips in work.
        largest = 4 * 128 * 512 * 512
        assert largest < cut.peak_activation_bytes < largest + 40_000_000 < share * whole.peak_activation_bytes + 5e6
        assert whole.operations < cut.operations < 1.6 * whole.operations


def test_rows_are_freed_as_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is held at each strip, counted while it runs, is what was priced."""
    held: list[int] = []
    priced: list[int] = []
    monkeypatch.setattr(running, "_held", lambda there: priced.append(sum(rows.nbytes for rows in there.values())) or 0)
    strips = decoder_strips(CONFIG, 7, 10, 1, 5000)
    assert strips is not None
    price_strips(strips, weights())
    real = running._windows

    def counted(sweep: Sweep, strips: Any, there: Any) -> Any:
        for window in real(sweep, strips, there):
            arrays = [values for rows in there.values() for _, values in rows.strips]
            assert all(values is not None for values in arrays)
            held.append(sum(values.nbytes for values in arrays))
            yield window

    monkeypatch.setattr(running, "_windows", counted)
    session(strips, NumpyEngine(), weights())(latent=slanted(1, 4, 7, 10))
    wholes = len(strips.steps) - sum(isinstance(step, Sweep) for step in strips.steps)
    assert held == priced[wholes:]


def test_moments_are_those_of_the_whole() -> None:
    values = (np.random.default_rng(3).standard_normal((1, 8, 9, 5)) * 3 + 40).astype(np.float32)
    moments = Moments.none(8)
    for start in range(0, 9, 4):
        moments.add(values[:, :, start : start + 4])
    mean, steepness = moments.normal(4, 1e-6)
    grouped = values.astype(np.float64).reshape(4, -1)
    np.testing.assert_allclose(mean, grouped.mean(1).repeat(2), rtol=1e-12)
    np.testing.assert_allclose(steepness, 1 / np.sqrt(grouped.var(1) + 1e-6).repeat(2), rtol=1e-9)


def test_windows_end_at_the_edge() -> None:
    window = Window(0, 3, 4)
    assert window.around(2) == Window(0, 4, 4)
    assert window.padding(2) == (2, 1)
    assert Window(2, 4, 6).shape != Window(2, 4, 9).shape
    assert Window(10, 12, 30).shape == Window(12, 14, 30).shape


def test_what_it_is_given_is_checked() -> None:
    made = session(decoder_strips(CONFIG, 7, 10, 1), NumpyEngine(), weights())
    with pytest.raises(EngineError, match="takes latent, not picture"):
        made(picture=slanted(1, 4, 7, 10))
    made.close()
    with pytest.raises(EngineError, match="closed"):
        made(latent=slanted(1, 4, 7, 10))
