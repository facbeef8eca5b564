"""Which channels of which tensors of a UNet are the same channels, and where a smaller UNet's tensors come from.

A channel can only be taken out of every tensor it runs through at once. `wire` walks through the smaller UNet as
diffusers builds it, gives each such bundle of channels (an axis) a name, and writes down for every tensor which axes
its dimensions are made of, and which tensor of the larger UNet it comes from. Axes are:

- the residual stream of a level, one on the way down (the middle shares the last one's) and one on the way up; both
  meet, one after the other, where a skip connection is concatenated;
- what a convolution between two levels makes, unless both levels are equally wide: then no shortcut lies between
  them, and they share one stream;
- inside a residual block what lies between its convolutions; inside a transformer its own stream, the heads of each
  attention (query, key and value alike), and the units of the feed-forward layer (each with its gate);
- the two layers of the time embedding.

Nothing here knows of arrays: names and numbers only, for NumPy and PyTorch alike.

Where blocks are missing: of several residual blocks in a level the first ones stay, on the way up also the last one,
which takes the skip connection of the level above (BK-SDM, Kim et al. 2023, arXiv:2305.15798).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from nutshell.compress.shapes import UNetShape

ABSENT = "absent"
"""The axis of what came from a level that the smaller UNet lacks: kept in shape, without content."""

Axes = tuple[str, ...]
"""Axes that lie one after another along a dimension; none where a dimension stays as it is."""


@dataclass(frozen=True)
class Axis:
    """`size` of `full` channels stay: `groups` of `full_groups` runs of equal length, and as many within each."""

    full: int
    size: int
    full_groups: int = 1
    groups: int = 1


@dataclass(frozen=True)
class Place:
    """Where a tensor comes from, and the axes of its dimensions (those not named stay as they are).

    The first dimension is what the tensor makes, the second what it reads; a norm `says` nothing of what matters.
    """

    source: str
    axes: tuple[Axes, ...]
    says: bool = True


@dataclass
class Wiring:
    """All axes by name, and the place of every tensor of the smaller UNet by its name."""

    teacher: UNetShape
    student: UNetShape
    axes: dict[str, Axis] = field(default_factory=dict)
    tensors: dict[str, Place] = field(default_factory=dict)

    def stream(self, name: str, level: int) -> str:
        """A new axis as wide as a level, which group norms read."""
        full, size = self.teacher.channels[level], self.student.channels[level]
        self.axes[name] = Axis(full, size, self.teacher.norm_groups, self.student.norm_groups)
        return name

    def free(self, name: str, level: int, times: int = 1, middle: bool = False) -> str:
        """A new axis some times as wide as a level, or as the middle's own width, which no group norm reads."""
        full, size = (self._width(shape, level, middle) for shape in (self.teacher, self.student))
        self.axes[name] = Axis(times * full, times * size)
        return name

    def hidden(self, name: str, level: int, middle: bool) -> str:
        """A new axis between the convolutions of a residual block."""
        full, size = (self._width(shape, level, middle) for shape in (self.teacher, self.student))
        self.axes[name] = Axis(full, size, self.teacher.norm_groups, self.student.norm_groups)
        return name

    def heads(self, name: str, level: int) -> str:
        """A new axis of an attention's heads, which stay whole."""
        full, size = (shape.attention_width(level) for shape in (self.teacher, self.student))
        counts = (shape.kept_heads[level] if shape.kept_heads else shape.heads(level)
                  for shape in (self.teacher, self.student))  # fmt: skip
        self.axes[name] = Axis(full, size, *counts)
        return name

    @staticmethod
    def _width(shape: UNetShape, level: int, middle: bool) -> int:
        return (shape.middle_width if middle else 0) or shape.channels[level]

    def tensor(self, name: str, source: str, out: Axes, inputs: Axes = (), bias: bool = True) -> None:
        """The weight (out, inputs, ...) and bias (out) of a linear map or convolution."""
        self.tensors[f"{name}.weight"] = Place(f"{source}.weight", (out, inputs))
        if bias:
            self.tensors[f"{name}.bias"] = Place(f"{source}.bias", (out,))

    def norm(self, name: str, source: str, axes: Axes) -> None:
        """Scale and shift of a normalization."""
        for part in ("weight", "bias"):
            self.tensors[f"{name}.{part}"] = Place(f"{source}.{part}", (axes,), says=False)

    def resnet(self, name: str, source: str, level: int, inputs: Axes, out: str, middle: bool = False) -> None:
        """A residual block; it has a shortcut of its own where it does not end on the stream it began with."""
        hidden = self.hidden(f"{source}.hidden", level, middle)
        self.norm(f"{name}.norm1", f"{source}.norm1", inputs)
        self.tensor(f"{name}.conv1", f"{source}.conv1", (hidden,), inputs)
        self.tensor(f"{name}.time_emb_proj", f"{source}.time_emb_proj", (hidden,), ("time",))
        self.norm(f"{name}.norm2", f"{source}.norm2", (hidden,))
        self.tensor(f"{name}.conv2", f"{source}.conv2", (out,), (hidden,))
        if inputs != (out,):
            self.tensor(f"{name}.conv_shortcut", f"{source}.conv_shortcut", (out,), inputs)

    def transformer(self, name: str, source: str, level: int, stream: str, middle: bool = False) -> None:
        """Self-attention, cross-attention and a gated feed-forward layer around a level's stream."""
        inner, units = self.free(f"{source}.inner", level), self.free(f"{source}.units", level, 4, middle)
        self.norm(f"{name}.norm", f"{source}.norm", (stream,))
        self.tensor(f"{name}.proj_in", f"{source}.proj_in", (inner,), (stream,))
        self.tensor(f"{name}.proj_out", f"{source}.proj_out", (stream,), (inner,))
        name, source = f"{name}.transformer_blocks.0", f"{source}.transformer_blocks.0"
        for number in (1, 2, 3):
            self.norm(f"{name}.norm{number}", f"{source}.norm{number}", (inner,))
        for part, read in (("attn1", (inner,)), ("attn2", ())):
            heads = self.heads(f"{source}.{part}.heads", level)
            self.tensor(f"{name}.{part}.to_q", f"{source}.{part}.to_q", (heads,), (inner,), bias=False)
            for role in ("to_k", "to_v"):
                self.tensor(f"{name}.{part}.{role}", f"{source}.{part}.{role}", (heads,), read, bias=False)
            self.tensor(f"{name}.{part}.to_out.0", f"{source}.{part}.to_out.0", (inner,), (heads,))
        self.tensor(f"{name}.ff.net.0.proj", f"{source}.ff.net.0.proj", (units, units), (inner,))
        self.tensor(f"{name}.ff.net.2", f"{source}.ff.net.2", (inner,), (units,))

    def shrunk(self, level: int) -> str:
        """The axis of what leaves a level for the one below it."""
        same = self.teacher.channels[level] == self.teacher.channels[level + 1]
        return f"down.{level + 1}" if same else f"down.{level}.shrunk"


def wire(teacher: UNetShape, student: UNetShape) -> Wiring:
    """How the UNet of shape `student` is cut out of that of shape `teacher`; they must pass `check` of `shapes.py`."""
    wiring = Wiring(teacher, student)
    wiring.free("time.hidden", 0, 4)
    wiring.free("time", 0, 4)
    wiring.tensor("time_embedding.linear_1", "time_embedding.linear_1", ("time.hidden",))
    wiring.tensor("time_embedding.linear_2", "time_embedding.linear_2", ("time",), ("time.hidden",))
    for level in range(len(student.channels)):
        wiring.stream(f"down.{level}", level)
    wiring.tensor("conv_in", "conv_in", ("down.0",))
    _wire_down(wiring)
    _wire_middle(wiring)
    _wire_up(wiring)
    wiring.norm("conv_norm_out", "conv_norm_out", ("up.0",))
    wiring.tensor("conv_out", "conv_out", (), ("up.0",))
    return wiring


def _wire_down(wiring: Wiring) -> None:
    levels, current = len(wiring.student.channels), "down.0"
    for level in range(levels):
        stream = f"down.{level}"
        for layer in range(wiring.student.layers_per_block):
            resnet, attention = (f"down_blocks.{level}.{part}.{layer}" for part in ("resnets", "attentions"))
            wiring.resnet(resnet, resnet, level, (current,), stream)
            current = stream
            if wiring.student.attention[level]:
                wiring.transformer(attention, attention, level, stream)
        if level < levels - 1:
            current = wiring.shrunk(level)
            if current not in wiring.axes:
                wiring.stream(current, level)
            shrink = f"down_blocks.{level}.downsamplers.0.conv"
            wiring.tensor(shrink, shrink, (current,), (stream,))


def _wire_middle(wiring: Wiring) -> None:
    level = len(wiring.student.channels) - 1
    stream, attends = f"down.{level}", wiring.student.middle == "attention"
    if wiring.student.middle != "none":
        for part in ("resnets.0", "resnets.1") if attends else ("resnets.0",):
            wiring.resnet(f"mid_block.{part}", f"mid_block.{part}", level, (stream,), stream, middle=True)
    if attends:
        wiring.transformer("mid_block.attentions.0", "mid_block.attentions.0", level, stream, middle=True)


def _wire_up(wiring: Wiring) -> None:
    teacher, student = wiring.teacher, wiring.student
    levels, last = len(student.channels), student.layers_per_block
    current = f"down.{levels - 1}"
    if lacks := len(teacher.channels) - levels:
        wiring.axes[ABSENT] = Axis(teacher.channels[levels], student.channels[-1])
        current = ABSENT
    for number in range(levels):
        level = levels - 1 - number
        name, source = f"up_blocks.{number}", f"up_blocks.{number + lacks}"
        stream = wiring.stream(f"up.{level}", level)
        above = wiring.shrunk(level - 1) if level else "down.0"
        for layer in range(last + 1):
            comes_from = layer if layer < last else teacher.layers_per_block
            skip = f"down.{level}" if layer < last else above
            wiring.resnet(
                f"{name}.resnets.{layer}", f"{source}.resnets.{comes_from}", level, (current, skip), stream
            )  # fmt: skip
            current = stream
            if student.attention[level]:
                wiring.transformer(f"{name}.attentions.{layer}", f"{source}.attentions.{comes_from}", level, stream)
        if level:
            current = wiring.stream(f"up.{level}.grown", level)
            grow = "upsamplers.0.conv"
            wiring.tensor(f"{name}.{grow}", f"{source}.{grow}", (current,), (stream,))
