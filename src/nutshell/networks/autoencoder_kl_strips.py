"""AutoencoderKL strip by strip: the levels whose maps are large, where the others run in one piece.

At 512 pixels the widest map has 268 MB, and two more of 134 MB stand beside it. In strips no more is there at a time
than the largest input of a residual block, 134 MB, and a few strips. What would be more than that, a widened map or
what lies between a block's two convolutions, is computed again wherever it is read: about half as many operations more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from nutshell.networks import layers
from nutshell.networks.autoencoder_kl_config import AutoencoderKLConfig
from nutshell.networks.autoencoder_kl_parts import EPS, begin_decoding, finish_encoding, halved, level, widened
from nutshell.networks.ops import Input, Network, Ops
from nutshell.networks.strips import STRIP_BYTES, Norm, Sheet, Strips, Sweep, Whole, Window
from nutshell.weights import Weights

# Maps up to here, in bytes of float32, are not worth cutting.
WHOLE_BYTES = 20_000_000

Run = Callable[[Ops[Any], Weights, Mapping[str, Any], Window], Any]
Path = tuple[str | int, ...]


def decoder_strips(
    config: AutoencoderKLConfig,
    height: int,
    width: int,
    whole_bytes: int = WHOLE_BYTES,
    strip_bytes: int = STRIP_BYTES,
) -> Strips | None:
    """Of `autoencoder_kl.decoder` for a latent of that size; None where no map is large."""
    widths = config.channels[::-1]
    # Widened before its first block, a level has the channels of the one before.
    sheets = [
        Sheet(f"wide.{place}", widths[max(0, place - 1)], height << place, width << place)
        for place in range(len(widths))
    ]
    large = [place for place, sheet in enumerate(sheets) if place and _bytes(sheet) > whole_bytes]
    if not large:
        return None
    first = large[0]
    latent = Sheet("latent", config.latent_channels, height, width)
    x = Sheet(f"x.{first - 1}", widths[first - 1], height << first - 1, width << first - 1)

    def begin(ops: Ops[Any], weights: Weights, given: Mapping[str, Any]) -> Any:
        x = begin_decoding(ops, weights, config, given["latent"])
        blocks = weights.at("decoder", "up_blocks")
        for place in range(first):
            x = widened(ops, blocks.at(place - 1), x) if place else x
            x = level(ops, blocks.at(place), config, x, widths[place], config.layers + 1)
        return x

    head = Network(
        "vae_decoder",
        f"vae_decoder to level {first}",
        {"latent": Input((1, config.latent_channels, height, width))},
        begin,
    )
    steps: list[Sweep | Whole] = [Whole(head, latent, x)]
    most = max(_bytes(replace(sheets[place], channels=widths[place])) for place in large)
    for place in range(first, len(widths)):
        path = ("decoder", "up_blocks", place)
        wide, sheet = sheets[place], Sheet(f"x.{place}", widths[place], height << place, width << place)
        source = _Source(x, ("decoder", "up_blocks", place - 1), wide)
        if _bytes(wide) <= most:
            steps.append(source.sweep(kept=True))
            source = _Source(wide)
        else:
            steps.append(source.sweep(kept=False))
        steps += _blocks(config, path, source, sheet, config.layers + 1, most)
        x = replace(sheet, name=f"{sheet.name}.{config.layers}")
    steps.append(_picture(config, x))
    return Strips("vae_decoder", latent, tuple(steps), strip_bytes)


def encoder_strips(
    config: AutoencoderKLConfig,
    height: int,
    width: int,
    whole_bytes: int = WHOLE_BYTES,
    strip_bytes: int = STRIP_BYTES,
) -> Strips | None:
    """Of `autoencoder_kl.encoder` for a picture of that size; None where no map is large."""
    last = len(config.channels) - 1
    sheets = [Sheet(f"x.{place}", config.channels[place], height >> place, width >> place) for place in range(last + 1)]
    count = sum(1 for sheet in sheets[:last] if _bytes(sheet) > whole_bytes)
    if not count:
        return None
    picture = Sheet("picture", 3, height, width)
    x = replace(sheets[0], name="conv_in")
    steps: list[Sweep | Whole] = [_begin_encoding(picture, x)]
    most = max(_bytes(sheet) for sheet in sheets[:count])
    for place in range(count):
        path = ("encoder", "down_blocks", place)
        steps += _blocks(config, path, _Source(x), sheets[place], config.layers, most)
        x = replace(sheets[place], name=f"{sheets[place].name}.{config.layers - 1}")
        half = Sheet(f"half.{place}", x.channels, height >> place + 1, width >> place + 1)
        steps.append(_halving(path, x, half))
        x = half

    def finish(ops: Ops[Any], weights: Weights, given: Mapping[str, Any]) -> Any:
        x, blocks = given["x"], weights.at("encoder", "down_blocks")
        for place in range(count, last + 1):
            x = level(ops, blocks.at(place), config, x, config.channels[place], config.layers)
            x = halved(ops, blocks.at(place), x) if place < last else x
        return finish_encoding(ops, weights, config, x)

    moments = Sheet("moments", 2 * config.latent_channels, height >> last, width >> last)
    given = {"x": Input((1, x.channels, x.height, x.width))}
    tail = Network("vae_encoder", f"vae_encoder from level {count}", given, finish)
    return Strips("vae_encoder", picture, (*steps, Whole(tail, x, moments)), strip_bytes)


@dataclass(frozen=True)
class _Source:
    """What a level's first block reads: a sheet, or one that is widened anew wherever it is read.

    sheet: that is there. path: of the block whose convolution widens it; () for none. wide: what it becomes.
    """

    sheet: Sheet
    path: Path = ()
    wide: Sheet | None = None

    @property
    def seen(self) -> Sheet:
        """What the block takes it for."""
        return self.wide or self.sheet

    def rows(self, window: Window) -> Window:
        """Of the sheet for a window of what is seen."""
        if self.wide is None:
            return window
        needed = window.around(1)
        return Window(needed.start // 2, (needed.stop + 1) // 2, self.sheet.height)

    def read(self, ops: Ops[Any], weights: Weights, x: Any, window: Window) -> Any:
        """The window of what is seen, made of those rows."""
        if self.wide is None:
            return x
        needed, above = window.around(1), 2 * self.rows(window).start
        _, channels, height, width = ops.shape(x)
        x = ops.upsample(x, 2 * height, 2 * width)
        x = ops.slice(x, 2, needed.start - above, needed.stop - above)
        conv = weights.at(*self.path, "upsamplers", 0, "conv")
        return layers.conv2d(ops, conv, x, channels, padding=_around(window))

    def sweep(self, kept: bool) -> Sweep:
        """The wide sheet, or only its statistics."""
        assert self.wide is not None
        done = (self.sheet.name,) if kept else ()
        return Sweep(
            f"{self.wide.name} {'whole' if kept else 'statistics'}",
            self.wide,
            {"x": (self.sheet, self.rows)},
            lambda ops, weights, given, window: self.read(ops, weights, given["x"], window),
            self.wide.channels,
            kept=kept,
            done=done,
        )


def _blocks(
    config: AutoencoderKLConfig, path: Path, source: _Source, sheet: Sheet, count: int, most: int
) -> Iterator[Sweep]:
    """The residual blocks of a level, two sweeps each. most: bytes that may be there beside the result."""
    for index in range(count):
        block = (*path, "resnets", index)
        between = replace(sheet, name=f"h.{sheet.name}.{index}")
        after = replace(sheet, name=f"{sheet.name}.{index}")
        if _bytes(source.sheet) + _bytes(between) <= most:
            yield _first(config, block, source, between)
            yield _second(config, block, source, between, after)
        else:
            yield replace(_first(config, block, source, between), kept=False)
            yield _both(config, block, source, between, after)
        source = _Source(after)


def _first(config: AutoencoderKLConfig, block: Path, source: _Source, result: Sheet) -> Sweep:
    """To between a block's two convolutions."""

    def run(ops: Ops[Any], weights: Weights, given: Mapping[str, Any], window: Window) -> Any:
        x = _activated(ops, source.read(ops, weights, given["x"], window.around(1)), given, 0)
        return layers.conv2d(ops, weights.at(*block, "conv1"), x, result.channels, padding=_around(window))

    norm = Norm(source.seen, (*block, "norm1"), config.groups, EPS)
    reads = {"x": (source.sheet, lambda window: source.rows(window.around(1)))}
    return Sweep(result.name, result, reads, run, max(source.seen.channels, result.channels), (norm,))


def _second(config: AutoencoderKLConfig, block: Path, source: _Source, between: Sheet, result: Sheet) -> Sweep:
    """From there to its end, where its input is added."""

    def run(ops: Ops[Any], weights: Weights, given: Mapping[str, Any], window: Window) -> Any:
        h = _activated(ops, given["h"], given, 0)
        h = layers.conv2d(ops, weights.at(*block, "conv2"), h, result.channels, padding=_around(window))
        return _joined(ops, weights.at(*block), source.read(ops, weights, given["x"], window), h)

    norm = Norm(between, (*block, "norm2"), config.groups, EPS)
    reads = {"x": (source.sheet, source.rows), "h": (between, lambda window: window.around(1))}
    widest = max(source.seen.channels, result.channels)
    return Sweep(result.name, result, reads, run, widest, (norm,), done=(source.sheet.name, between.name))


def _both(config: AutoencoderKLConfig, block: Path, source: _Source, between: Sheet, result: Sheet) -> Sweep:
    """From its input to its end; of what lies between only the statistics are known."""

    def run(ops: Ops[Any], weights: Weights, given: Mapping[str, Any], window: Window) -> Any:
        far = window.around(2)
        x = source.read(ops, weights, given["x"], far)
        conv, inner = weights.at(*block, "conv1"), window.around(1)
        h = layers.conv2d(ops, conv, _activated(ops, x, given, 0), between.channels, padding=_around(inner))
        conv, h = weights.at(*block, "conv2"), _activated(ops, h, given, 1)
        h = layers.conv2d(ops, conv, h, result.channels, padding=_around(window))
        x = ops.slice(x, 2, window.start - far.start, window.stop - far.start)
        return _joined(ops, weights.at(*block), x, h)

    norms = (
        Norm(source.seen, (*block, "norm1"), config.groups, EPS),
        Norm(between, (*block, "norm2"), config.groups, EPS),
    )
    reads = {"x": (source.sheet, lambda window: source.rows(window.around(2)))}
    widest = max(source.seen.channels, result.channels)
    return Sweep(result.name, result, reads, run, widest, norms, done=(source.sheet.name,))


def _joined(ops: Ops[Any], block: Weights, x: Any, h: Any) -> Any:
    """A block's input and what was made of it."""
    channels = ops.shape(h)[1]
    if ops.shape(x)[1] != channels:
        x = layers.conv2d(ops, block.at("conv_shortcut"), x, channels, kernel=1)
    return ops.add(x, h)


def _picture(config: AutoencoderKLConfig, x: Sheet) -> Sweep:
    def run(ops: Ops[Any], weights: Weights, given: Mapping[str, Any], window: Window) -> Any:
        h = _activated(ops, given["x"], given, 0)
        return layers.conv2d(ops, weights.at("decoder", "conv_out"), h, 3, padding=_around(window))

    norm = Norm(x, ("decoder", "conv_norm_out"), config.groups, EPS)
    result, reads = Sheet("picture", 3, x.height, x.width), {"x": (x, lambda window: window.around(1))}
    return Sweep("picture", result, reads, run, x.channels, (norm,), measured=False, done=(x.name,))


def _begin_encoding(picture: Sheet, result: Sheet) -> Sweep:
    def run(ops: Ops[Any], weights: Weights, given: Mapping[str, Any], window: Window) -> Any:
        conv = weights.at("encoder", "conv_in")
        return layers.conv2d(ops, conv, given["x"], result.channels, padding=_around(window))

    reads = {"x": (picture, lambda window: window.around(1))}
    return Sweep(result.name, result, reads, run, result.channels, done=(picture.name,))


def _halving(path: Path, x: Sheet, result: Sheet) -> Sweep:
    def rows(window: Window) -> Window:
        return Window(2 * window.start, min(x.height, 2 * window.stop + 1), x.height)

    def run(ops: Ops[Any], weights: Weights, given: Mapping[str, Any], window: Window) -> Any:
        return halved(ops, weights.at(*path), given["x"], below=2 * window.stop + 1 - rows(window).stop)

    return Sweep(result.name, result, {"x": (x, rows)}, run, 2 * x.channels, done=(x.name,))


def _activated(ops: Ops[Any], x: Any, given: Mapping[str, Any], norm: int) -> Any:
    """Normalized by statistics of the whole, and SiLU. norm: its place in the sweep's."""
    return ops.silu(ops.add(ops.multiply(x, given[f"scale{norm}"]), given[f"shift{norm}"]))


def _around(window: Window) -> tuple[int, int, int, int]:
    """Zeros around a strip that has the row before and after it, where there is one."""
    above, below = window.padding(1)
    return above, 1, below, 1


def _bytes(sheet: Sheet) -> int:
    return sheet.row_bytes * sheet.height
