"""The scoped view and its account."""

from __future__ import annotations

from collections import UserDict
from collections.abc import Iterator

import pytest

from nutshell.errors import WeightsMismatch
from nutshell.weights import Tensor, Weights


def scope(*names: str) -> Weights:
    return Weights({name: Tensor(name, "F32", (2, 3)) for name in names}, part="unet")


def test_questions() -> None:
    weights = scope("down.0.a.weight", "down.1.a.weight", "down.10.a.weight", "down.3.a.weight", "downs.0.x", "top")
    assert weights.count("down") == 2  # 2 is missing, so 3 and 10 do not count
    assert weights.count("none") == 0
    assert weights.count("top") == 0
    assert weights.has("down")
    assert weights.has("top")
    assert weights.has("down.1.a")
    assert not weights.has("dow")
    assert not weights.has("down.2")
    inner = weights.at("down", 1)
    assert inner.has("a")
    assert not inner.has("down")
    assert inner.shape("a.weight") == (2, 3)
    assert inner.shape("a.bias") is None
    assert list(inner.names()) == ["a.weight"]
    assert [tensor.name for tensor in inner.tensors()] == ["down.1.a.weight"]


def test_take_and_optional() -> None:
    weights = scope("a.weight")
    assert weights.at("a").take("weight", (2, 3)).name == "a.weight"
    assert weights.at("a").optional("bias", (2,)) is None
    with pytest.raises(WeightsMismatch, match=r"1 missing \(a\.bias 2\)"):
        weights.at("a").take("bias", (2,))
    with pytest.raises(WeightsMismatch, match=r"a\.weight is 2x3, not 3x2"):
        weights.take("a.weight", (3, 2))


def test_the_account_names_everything_at_once() -> None:
    weights = scope("a.weight", "b.weight", "c.weight", "other.weight")

    def network(view: Weights) -> None:
        view.at("a").take("weight", (2, 3))
        view.at("b").take("weight", (1, 1))
        view.at("d").take("weight", (4,))

    with pytest.raises(WeightsMismatch) as caught:
        weights.account(network)
    error = caught.value
    assert error.missing == {"d.weight": (4,)}
    assert error.misshapen == {"b.weight": ((1, 1), (2, 3))}
    assert error.unused == ("c.weight", "other.weight")
    weights.at("a").account(lambda view: view.take("weight", (2, 3)))


class CountedDict(UserDict[str, Tensor]):
    """Counts how often somebody goes through all the names."""

    walks = 0

    def __iter__(self) -> Iterator[str]:
        self.walks += 1
        return super().__iter__()


def test_questions_stay_quick_on_large_files() -> None:
    names = [f"down.{block}.resnets.{n}.conv.weight" for block in range(50) for n in range(50)]
    table = CountedDict({name: Tensor(name, "F32", (2, 3)) for name in names})
    weights = Weights(table, part="unet")
    for block in range(50):
        for n in range(weights.at("down", block).count("resnets")):
            assert weights.at("down", block, "resnets", n).has("conv")
    assert table.walks == 1  # the first question reads all the names, the others none
