"""The table of cases covers the whole vocabulary."""

from __future__ import annotations

import pytest
from op_cases import CASES
from reference_ops import ReferenceOps

from nutshell.engines.numpy_engine import NumpyOps
from nutshell.networks.ops import Ops

VOCABULARY = {name for name, value in vars(Ops).items() if callable(value) and not name.startswith("_")}


def test_every_operation_has_a_case() -> None:
    # `shape` is checked in every one of them.
    assert {case.op for case in CASES} == VOCABULARY - {"shape"}


def test_no_two_cases_share_a_name() -> None:
    assert len({case.id for case in CASES}) == len(CASES)


@pytest.mark.parametrize("kind", [NumpyOps, ReferenceOps])
def test_an_interpreter_has_every_operation_and_no_other(kind: type) -> None:
    assert {name for name in vars(kind) if not name.startswith("_")} == VOCABULARY
