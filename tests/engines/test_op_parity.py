"""Every interpreter against the NumPy reference, operation by operation, in float32."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from op_cases import STORED_CASES, Case, case_ids

from nutshell.engines.engine import Engine
from nutshell.engines.numpy_engine import NumpyEngine
from nutshell.networks.ops import Input, Network
from nutshell.weights import Weights


@pytest.mark.parametrize(("case", "dtype"), STORED_CASES, ids=case_ids(STORED_CASES))
def test_an_operation_equals_the_reference(
    case: Case, dtype: str, engine: Engine, reference: NumpyEngine, assert_close: Callable[..., None]
) -> None:
    wanted = reference.compile(case.network(), case.weights(dtype))(**case.values())
    shapes = []
    network = case.network()

    def run(ops: Any, weights: Weights, inputs: Any) -> Any:
        out = network.run(ops, weights, inputs)
        shapes.append(ops.shape(out))
        return out

    session = engine.compile(replace(network, run=run), case.weights(dtype), "f32", threads=1)
    try:
        got = session(**case.values())
        again = session(**case.values())
    finally:
        session.close()
    assert set(shapes) == {wanted.shape}
    assert got.dtype == np.float32
    assert_close(got, wanted)
    np.testing.assert_array_equal(got, again)


# The engine is stateless and shared, so it need not be made anew for each example.
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    old=some.tuples(some.integers(1, 40), some.integers(1, 40)),
    more=some.tuples(some.floats(1, 2.2), some.floats(1, 2.2)),
)
def test_upsampling_picks_the_very_same_pixels(
    engine: Engine, reference: NumpyEngine, old: tuple[int, int], more: tuple[float, float]
) -> None:
    height, width = (int(side * factor) for side, factor in zip(old, more, strict=True))
    network = Network(
        part="upsample",
        name="upsample",
        inputs={"x": Input((1, 1, *old))},
        run=lambda ops, weights, inputs: ops.upsample(inputs["x"], height, width),
    )
    x = np.arange(old[0] * old[1], dtype=np.float32).reshape(1, 1, *old)
    session = engine.compile(network, Weights({}), "f32", threads=1)
    try:
        got = session(x=x)
    finally:
        session.close()
    np.testing.assert_array_equal(got, reference.compile(network, Weights({}))(x=x))
