"""Run as a script: an engine's session over a file that its caller has closed meanwhile.

    python closed_file.py ENGINE FILE

A process of its own, because an engine that reads unmapped memory takes the process with it.
"""

from __future__ import annotations

import gc
import sys
from pathlib import Path

import numpy as np
from conftest import MAKERS
from op_cases import CASES

from nutshell.engines.numpy_engine import NumpyEngine
from nutshell.weights import Weights
from nutshell.weights.safetensors import open_safetensors


def main(engine: str, path: str) -> None:
    case = next(case for case in CASES if case.id == "linear: sequences")
    wanted = NumpyEngine().compile(case.network(), case.weights())(**case.values())
    with open_safetensors(Path(path)) as file:
        session = MAKERS[engine]().compile(case.network(), Weights(file.tensors), "f32", threads=1)
    del file
    gc.collect()
    np.testing.assert_allclose(session(**case.values()), wanted, rtol=1e-4, atol=1e-4)
    session.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
