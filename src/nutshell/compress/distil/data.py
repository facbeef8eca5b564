"""What is learned from, made once and kept on disk: conditions of captions, latents of pictures, teacher's runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from nutshell.compress.distil.lessons import Material
from nutshell.compress.distil.networks import Denoiser
from nutshell.compress.distil.pair import Pair, Side
from nutshell.compress.distil.rows import Rows
from nutshell.compress.distil.wish import Figures, Wish
from nutshell.compress.examples import pixels_of, square_pixels
from nutshell.compress.teaching.ddim import guided, trajectory
from nutshell.engines.torch_engine import TorchEngine
from nutshell.language import Text, tr
from nutshell.networks.autoencoder_tiny import AutoencoderTinyConfig
from nutshell.networks.clip_text import text_encoder, token_vectors
from nutshell.networks.ops import Network
from nutshell.pipeline.model import open_tokenizer
from nutshell.pipeline.order import sized_networks
from nutshell.pipeline.pixels import to_image
from nutshell.sampling import NoiseStream

F32 = npt.NDArray[np.float32]
Run = Callable[..., F32]
OnProgress = Callable[[Text, int, int], None]

_DRAWN_AT_ONCE = 4
_ROWS_AT_ONCE = 8  # of what is made one by one, before the disk is told


@dataclass(frozen=True)
class Studio:
    """Where and how material is made."""

    pair: Pair
    wish: Wish
    figures: Figures
    folder: Path
    device: str
    on_progress: OnProgress

    @contextmanager
    def session(self, side: Side, stored: str, network: Network) -> Iterator[Run]:
        """A network of a model's part in float32."""
        with side.original.checkpoint.open(stored) as part:
            session = TorchEngine(self.device).compile(network, part.weights, "f32", self.wish.threads)
            try:
                yield session
            finally:
                session.close()


def make_material(studio: Studio, open_teacher: Callable[[], Denoiser], alphas: Any) -> Material:
    """All of it; what is there already is kept. open_teacher: called where the teacher draws. Raises OutputError."""
    places: dict[str, int] = {}
    told = [places.setdefault(words, len(places)) for words in studio.wish.captions]
    conditions = _conditions(studio, [*places, ""])
    if studio.wish.examples and not studio.wish.few:
        states = _encoded(studio)
    else:
        states = _drawn(studio, told, conditions, open_teacher, alphas)
    return Material(states, conditions, told)


def _conditions(studio: Studio, captions: Sequence[str]) -> Rows:
    """Each caption as the text encoder reads it; what is longer than it can read is cut off."""
    side = studio.pair.teacher
    config = side.facts.text
    rows = Rows(studio.folder / "conditions.npy", len(captions), (config.positions, config.width))
    if not rows.missing:
        return rows
    tokenizer = open_tokenizer(side.original.checkpoint, side.facts)
    with (
        studio.session(side, "text_encoder", text_encoder(config)) as encode,
        side.original.checkpoint.open("text_encoder") as part,
    ):
        while rows.missing:
            ids = [tokenizer.encode(captions[place], weighting=False).ids[:1] for place in rows.missing[:_ROWS_AT_ONCE]]
            rows.add(np.concatenate([encode(vectors=token_vectors(part.weights, config, one)) for one in ids]))
            studio.on_progress(tr("reading captions"), rows.done, len(rows))
    return rows


def _encoded(studio: Studio) -> Rows:
    """The latents of the pictures of a folder."""
    pair, examples = studio.pair, studio.wish.examples
    facts, cells = pair.student.facts, pair.latent
    rows = Rows(studio.folder / "latents.npy", len(examples), (1, facts.vae.latent_channels, cells, cells))
    if rows.missing:
        with studio.session(pair.student, "vae", _vae_network(pair, "vae_encoder", cells)) as encode:
            while rows.missing:
                seen = [square_pixels(examples[place].picture, pair.pixels) for place in rows.missing[:_ROWS_AT_ONCE]]
                rows.add(np.concatenate([_latent(pair, encode, pixels) for pixels in seen]))
                studio.on_progress(tr("encoding pictures"), rows.done, len(rows))
    return rows


def _drawn(
    studio: Studio, told: Sequence[int], conditions: Rows, open_teacher: Callable[[], Denoiser], alphas: Any
) -> Rows:
    """The teacher's runs; of a smaller size their pictures, shrunk and encoded again."""
    pair, few = studio.pair, studio.wish.few
    channels, full = pair.teacher.facts.vae.latent_channels, pair.teacher.facts.unet.sample_size
    name = "runs" if pair.native else "large"
    rows = Rows(studio.folder / f"{name}.npy", len(told), (1 + few, channels, full, full))
    if rows.missing:
        teacher = open_teacher()
        while rows.missing:
            places = rows.missing[:_DRAWN_AT_ONCE]
            noise = np.concatenate([_noise(studio.wish.seed + place, channels, full) for place in places])
            told_now = [told[place] for place in places]
            rows.add(_run(studio, teacher, noise, conditions, told_now, alphas))
            studio.on_progress(tr("drawing with the teacher"), rows.done, len(rows))
    return rows if pair.native else _shrunk(studio, rows)


def _noise(seed: int, channels: int, cells: int) -> F32:
    return np.asarray(NoiseStream(seed).normal((1, channels, cells, cells)), np.float32)


def _run(
    studio: Studio, teacher: Denoiser, noise: F32, conditions: Rows, told: Sequence[int], alphas: Any
) -> F32:  # fmt: skip
    """(n, 1 + few, c, h, w): noise and the latents that the few steps lead to; without few steps the last alone."""
    figures, few = studio.figures, studio.wish.few
    start = torch.from_numpy(noise).to(studio.device)
    condition = torch.from_numpy(conditions[list(told)]).to(studio.device)
    empty = torch.from_numpy(conditions[[len(conditions) - 1]]).to(studio.device)
    prediction = studio.pair.teacher.facts.diffusion.prediction
    with torch.no_grad():
        if figures.guidance == 1.0:
            predict = lambda latents, steps: teacher(latents, steps, condition)  # noqa: E731
        else:
            predict = guided(teacher, condition, empty, figures.guidance)
        stride = figures.run_steps // (few or 1)
        states = trajectory(predict, start, alphas, figures.run_steps, stride, prediction)
    found: F32 = states.cpu().numpy()
    return found if few else found[:, -1:]


def _shrunk(studio: Studio, large: Rows) -> Rows:
    pair = studio.pair
    vae, full = pair.teacher.facts.vae, pair.teacher.facts.unet.sample_size
    rows = Rows(studio.folder / "latents.npy", len(large), (1, vae.latent_channels, pair.latent, pair.latent))
    if not rows.missing:
        return rows
    with (
        studio.session(pair.teacher, "vae", _vae_network(pair, "vae_decoder", full)) as decode,
        studio.session(pair.teacher, "vae", _vae_network(pair, "vae_encoder", pair.latent)) as encode,
    ):
        for place in rows.missing:
            latent = large[[place]][:, -1] / np.float32(vae.scaling_factor) + np.float32(vae.shift_factor)
            picture = to_image(decode(latent=latent))
            rows.add(_latent(pair, encode, pixels_of(picture, pair.pixels)))
            studio.on_progress(tr("encoding pictures"), rows.done, len(rows))
    return rows


def _vae_network(pair: Pair, name: str, cells: int) -> Network:
    facts = pair.teacher.facts
    pixels = cells * facts.vae.scale
    networks = sized_networks(facts.text, facts.unet, facts.vae, pixels, pixels, facts.text.positions, source=True)
    return networks[name]


def _latent(pair: Pair, encode: Run, pixels: F32) -> F32:
    """(1, 1, c, h, w): the mean of what the encoder gives, as the denoiser sees it."""
    vae = pair.student.facts.vae
    moments = encode(picture=pixels[None])
    mean = moments if isinstance(vae, AutoencoderTinyConfig) else moments[:, : vae.latent_channels]
    return np.asarray((mean - vae.shift_factor) * vae.scaling_factor, np.float32)[:, None]
