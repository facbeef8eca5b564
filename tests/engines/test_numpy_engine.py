"""The NumPy reference against an independent computation in double precision."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from op_cases import STORED_CASES, Case, case_ids
from reference_ops import run_reference

from nutshell.engines.numpy_engine import NumpyEngine


@pytest.mark.reference
@pytest.mark.parametrize(("case", "dtype"), STORED_CASES, ids=case_ids(STORED_CASES))
def test_an_operation_equals_double_precision(
    case: Case, dtype: str, reference: NumpyEngine, assert_close: Callable[..., None]
) -> None:
    got = reference.compile(case.network(), case.weights(dtype))(**case.values())
    assert_close(got, run_reference(case, dtype), 1e-5)
