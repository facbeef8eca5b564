"""A scoped view of a checkpoint's tensors that keeps account of every one of them.

A network walks down with `weights.at("down_blocks", 0, "resnets", 1)` and takes what it needs with the
shape it needs. `account` runs a network once without data and raises one `WeightsMismatch` that names
everything missing, unused or misshapen, before any weight is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from nutshell.errors import Shape, WeightsMismatch
from nutshell.weights.tensor import Tensor


@dataclass
class Ledger:
    """What a network took, wanted in vain, or found in another shape."""

    lenient: bool = False
    used: set[str] = field(default_factory=set)
    missing: dict[str, Shape] = field(default_factory=dict)
    misshapen: dict[str, tuple[Shape, Shape]] = field(default_factory=dict)


class Outline:
    """Every scope in a set of names, with the steps that lead on from it. Made once, at the first question."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = names

    @cached_property
    def steps(self) -> dict[str, set[str]]:
        """Scope ("" or "down_blocks.0") -> the next step of each name in it ("resnets", "attentions")."""
        steps: dict[str, set[str]] = {}
        for name in self._names:
            while True:
                scope, _, step = name.rpartition(".")
                known = steps.setdefault(scope, set())
                # A step seen before was followed to the root then.
                if step in known:
                    break
                known.add(step)
                if not scope:
                    break
                name = scope
        return steps


class Weights:
    """Tensors by name below a prefix. Cheap to make; shares its ledger and outline with its parent.

    The mapping must not change while a Weights looks at it.
    """

    def __init__(
        self,
        tensors: Mapping[str, Tensor],
        part: str = "model",
        prefix: str = "",
        ledger: Ledger | None = None,
        outline: Outline | None = None,
    ) -> None:
        self._tensors = tensors
        self._prefix = prefix
        self._ledger = ledger or Ledger()
        self._outline = outline or Outline(tensors)
        self.part = part

    def at(self, *path: str | int) -> Weights:
        """The scope below `path`: at("down_blocks", 0) sees down_blocks.0.*"""
        prefix = self._prefix + "".join(f"{step}." for step in path)
        return Weights(self._tensors, self.part, prefix, self._ledger, self._outline)

    def take(self, name: str, shape: Shape) -> Tensor:
        """The tensor `name` of exactly `shape`, else WeightsMismatch (or a note in a lenient ledger)."""
        full = self._prefix + name
        tensor = self._tensors.get(full)
        if tensor is None:
            return self._fault(full, shape, missing={full: shape})
        self._ledger.used.add(full)
        if tensor.shape != shape:
            return self._fault(full, shape, misshapen={full: (shape, tensor.shape)})
        return tensor

    def optional(self, name: str, shape: Shape) -> Tensor | None:
        """Like `take`, but None where there is no such tensor (a layer without bias)."""
        return self.take(name, shape) if self.shape(name) is not None else None

    def has(self, name: str) -> bool:
        """Whether a tensor or a scope of that name exists here."""
        full = self._prefix + name
        return full in self._tensors or full in self._outline.steps

    def shape(self, name: str) -> Shape | None:
        """The stored shape of `name`, None if absent. Does not count as use."""
        tensor = self._tensors.get(self._prefix + name)
        return None if tensor is None else tensor.shape

    def count(self, name: str) -> int:
        """How many numbered scopes lie below `name`: name.0, name.1, ... without a gap."""
        steps = self._outline.steps.get(self._prefix + name, set())
        return next(n for n in range(len(steps) + 1) if str(n) not in steps)

    def names(self) -> Iterator[str]:
        """Every tensor name in this scope, relative to it."""
        return (key[len(self._prefix) :] for key in self._tensors if key.startswith(self._prefix))

    def tensors(self) -> Iterator[Tensor]:
        """Every tensor in this scope."""
        return (tensor for key, tensor in self._tensors.items() if key.startswith(self._prefix))

    def account(self, run: Callable[[Weights], object]) -> None:
        """Run a network over placeholders and raise WeightsMismatch unless it fits to the last tensor."""
        ledger = Ledger(lenient=True)
        run(Weights(self._tensors, self.part, self._prefix, ledger, self._outline))
        unused = sorted(name for name in self._tensors if name.startswith(self._prefix) and name not in ledger.used)
        if ledger.missing or ledger.misshapen or unused:
            raise WeightsMismatch(self.part, ledger.missing, unused, ledger.misshapen)

    def _fault(
        self,
        full: str,
        shape: Shape,
        missing: dict[str, Shape] | None = None,
        misshapen: dict[str, tuple[Shape, Shape]] | None = None,
    ) -> Tensor:
        if not self._ledger.lenient:
            raise WeightsMismatch(self.part, missing, (), misshapen)
        self._ledger.missing.update(missing or {})
        self._ledger.misshapen.update(misshapen or {})
        return Tensor(full, "F32", shape)
