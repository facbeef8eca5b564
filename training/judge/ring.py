"""Drawn pictures kept for a while, to be mixed and to be learned from more than once: drawing them is costly."""

from __future__ import annotations

import torch
from torch import Tensor

Rows = dict[str, Tensor]
"""Tensors of equal length by name."""

LEAST_SHARE = 0.1


class Ring:
    """The latest `capacity` rows; each is handed out `reuse` times on average before more are wanted."""

    def __init__(self, capacity: int, reuse: float) -> None:
        self.capacity, self.reuse = capacity, reuse
        self.received, self.served = 0, 0
        self._kept: Rows = {}

    def put(self, rows: Rows) -> None:
        """Add rows in the places of the oldest ones."""
        count = len(next(iter(rows.values())))
        if not self._kept:
            self._kept = {
                name: torch.empty(self.capacity, *part.shape[1:], dtype=part.dtype) for name, part in rows.items()
            }
        where = (torch.arange(count) + self.received) % self.capacity
        for name, part in rows.items():
            self._kept[name][where] = part
        self.received += count

    def wants(self, count: int) -> bool:
        """Whether rows should be added before `count` more are taken; at first, until a tenth is filled."""
        few = self.received < max(count, LEAST_SHARE * self.capacity)
        return few or self.served + count > self.reuse * self.received

    def take(self, count: int) -> Rows:
        """Random rows, now and then one of them twice."""
        self.served += count
        chosen = torch.randint(min(self.received, self.capacity), (count,))
        return {name: part[chosen] for name, part in self._kept.items()}
