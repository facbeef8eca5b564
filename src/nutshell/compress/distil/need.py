"""How much memory distilling takes, told before it begins: from bare shapes, nothing is computed."""

from __future__ import annotations

from nutshell.compress.distil.pair import Pair, Side
from nutshell.compress.distil.wish import Figures, Wish, whole_batch
from nutshell.engines.cost import CostOps, price
from nutshell.networks.unet import denoiser

# In float32: the weight, its gradient, its average, and AdamW's two means.
_LEARNING_BYTES = 20
_VALUE_BYTES = {"f32": 4, "bf16": 2}
_WIDEST = 4  # what `CostOps` counts for a value
_LIBRARIES = 400_000_000
_DRAWN_AT_ONCE = 8  # runs of four pictures, each with and without its caption


def need_bytes(pair: Pair, wish: Wish, figures: Figures, precision: str) -> int:
    """The most that is held at once, PyTorch itself included: while the teacher draws, or while the student learns."""
    value_bytes = _VALUE_BYTES[precision]
    teaches = not wish.few and teacher_needed(figures)
    teacher = _pass_bytes(pair.teacher, pair.latent, wish.batch, value_bytes) if teaches else 0
    learning = _learning_bytes(pair, wish, value_bytes) + teacher
    full = pair.teacher.facts.unet.sample_size
    drawing = 0 if wish.examples and not wish.few else _pass_bytes(pair.teacher, full, _DRAWN_AT_ONCE, value_bytes)
    return _LIBRARIES + max(learning, drawing)


def teacher_needed(figures: Figures) -> bool:
    """Whether the student is held to what the teacher says of each batch."""
    return figures.output_weight > 0 or figures.feature_weight > 0


def _learning_bytes(pair: Pair, wish: Wish, value_bytes: int) -> int:
    side = pair.student
    # A run of few steps keeps the values of all of them until its end.
    batch = max(wish.batch, wish.few * whole_batch(wish.batch))
    network = denoiser(side.facts.unet, pair.latent, pair.latent, side.facts.text.positions, batch)
    ops = CostOps()
    with side.original.checkpoint.open("unet") as part:
        network.results(ops, part.weights, {name: ops.value(given.shape) for name, given in network.inputs.items()})
        parameters = sum(tensor.size for tensor in part.weights.tensors())
    kept = ops.all_bytes() // _WIDEST * value_bytes
    cast = parameters * value_bytes if value_bytes < _WIDEST else 0
    return _LEARNING_BYTES * parameters + cast + kept


def _pass_bytes(side: Side, cells: int, batch: int, value_bytes: int) -> int:
    network = denoiser(side.facts.unet, cells, cells, side.facts.text.positions, batch)
    with side.original.checkpoint.open("unet") as part:
        cost = price(network, part.weights)
    return value_bytes * cost.parameters + cost.peak_activation_bytes // _WIDEST * value_bytes
