"""An engine whose library is not installed says so, and the next one is taken."""

from __future__ import annotations

import sys

import pytest

from nutshell import engines
from nutshell.engines import NAMES, open_engine
from nutshell.errors import EngineUnavailable, UsageError

LIBRARIES = {"openvino": "openvino", "onnx": "onnxruntime", "torch": "torch"}


@pytest.mark.parametrize("name", LIBRARIES)
def test_a_missing_library_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in list(sys.modules):
        if module.startswith(f"nutshell.engines.{name}"):
            monkeypatch.delitem(sys.modules, module)
            # The package would keep what is imported below, and other tests patch that.
            monkeypatch.delattr(engines, module.rpartition(".")[2], raising=False)
    # None makes the import fail as if it were not there.
    monkeypatch.setitem(sys.modules, LIBRARIES[name], None)
    with pytest.raises(EngineUnavailable) as caught:
        open_engine(name)
    assert "pip install" in caught.value.hint


def test_numpy_is_always_there() -> None:
    assert open_engine("numpy").precisions == ("f32",)
    assert NAMES[-1] == "numpy"


@pytest.mark.parametrize("name", ["magic", "openvino:gpu", ""])
def test_an_unknown_engine_is_refused(name: str) -> None:
    with pytest.raises(UsageError):
        open_engine(name)
