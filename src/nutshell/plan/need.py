"""What a picture needs, before any engine or machine is thought of: the figures of the cost interpreter."""

from __future__ import annotations

from dataclasses import dataclass, replace

from nutshell.language import Text, tr

NO_SCALES = tr("this model comes without scales for eight bits: nutshell calibrate makes them")


@dataclass(frozen=True)
class StageNeed:
    """What the cost interpreter says of one stage.

    weight_bytes: as stored. activation_bytes: the most that is alive at once, in float32. operations: of one pass,
    a multiply-add counted as two. passes: for one picture. nodes: of its graph. linear_parameters: those of
    `parameters` in the weights of linears. with_previous: it is in use together with the stage before it, also where
    each is freed before the next. strip_bytes, strip_operations: activation_bytes and operations where it runs strip
    by strip; 0 where it cannot.
    """

    name: str
    parameters: int
    weight_bytes: int
    activation_bytes: int
    operations: int = 0
    passes: int = 1
    nodes: int = 0
    linear_parameters: int = 0
    with_previous: bool = False
    strip_bytes: int = 0
    strip_operations: int = 0

    @property
    def in_strips(self) -> StageNeed:
        """What it needs strip by strip; itself where it cannot run so."""
        if not self.strip_bytes:
            return self
        return replace(self, activation_bytes=self.strip_bytes, operations=self.strip_operations)


@dataclass(frozen=True)
class Need:
    """Everything that one picture takes: its stages in running order.

    model: its name, under which measured figures are kept; "" keeps none. steps: of the sampler. eight_bits: whether
    the model comes with the scales that int8 needs, good enough for what was asked for; no_eight_bits: else, why not.
    """

    stages: tuple[StageNeed, ...]
    model: str = ""
    width: int = 512
    height: int = 512
    steps: int = 1
    eight_bits: bool = False
    no_eight_bits: Text = NO_SCALES

    @property
    def size_class(self) -> int:
        """Pixels to the next power of two: what is measured at one size holds for its neighbours."""
        return 1 << max(0, self.width * self.height - 1).bit_length()
