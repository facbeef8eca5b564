"""A program: every operation's case through OpenVINO, against NumPy; says how many, and which are off.

Run with OpenVINO held to an older instruction set.
"""

from __future__ import annotations

import sys

import numpy as np
from op_cases import STORED_CASES

from nutshell.engines.numpy_engine import NumpyEngine
from nutshell.engines.openvino_engine import OpenVinoEngine


def main() -> None:
    engine, reference = OpenVinoEngine(), NumpyEngine()
    off = []
    for case, dtype in STORED_CASES:
        wanted = reference.compile(case.network(), case.weights(dtype))(**case.values())
        session = engine.compile(case.network(), case.weights(dtype), "f32", threads=1)
        got = session(**case.values())
        session.close()
        # As assert_close of conftest.
        if not np.abs(got - wanted).max() <= 1e-4 * max(float(wanted.std()), 1e-6):
            off.append(f"{case.id} {dtype}")
    print(len(STORED_CASES), *off, sep="\n")


if __name__ == "__main__":
    sys.exit(main())
