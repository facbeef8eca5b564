"""Every address with whatever its description allows, and what it does not: nothing makes the service fail.

NUTSHELL_SOAK=60, which test.sh sets, takes that many examples for each address instead of a few.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import hypothesis
import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import response_schema_conformance

from nutshell.service.wish import Limits
from tests.service.serving import serving

_EXAMPLES = int(os.environ.get("NUTSHELL_SOAK", "0")) or 10
# Drawn in no time.
_SMALL = Limits(pixels=65_536, count=2, steps=4, input_bytes=100_000, input_pixels=100_000)
_SETTINGS = hypothesis.settings(
    max_examples=_EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(hypothesis.HealthCheck),
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate],
)
_MODES = [schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE]


def test_nothing_that_is_sent_makes_it_fail(tmp_path: Path) -> None:
    with serving(tmp_path, limits=_SMALL) as served:
        described = schemathesis.openapi.from_url(f"{served.url}/openapi.json")
        operations = [result.ok() for result in described.get_all_operations()]
        assert len(operations) > 30
        statuses: dict[str, set[int]] = {}
        for operation in operations:
            for mode in _MODES:
                statuses.setdefault(operation.label, set()).update(_tried(operation, mode))
    # What was sent was understood somewhere, or nothing has been tested.
    for label in ("POST /v1/images/generations", "GET /api/jobs", "GET /metrics", "POST /sdapi/v1/txt2img"):
        assert 200 in statuses[label], (label, statuses[label])
    assert 202 in statuses["POST /api/jobs"]


def _tried(operation: Any, mode: Any) -> set[int]:
    """The statuses that came."""
    statuses = set()
    checks = [not_a_server_error]
    if operation.path.startswith(("/api/", "/v1/")):
        checks.append(response_schema_conformance)

    @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
    @_SETTINGS
    def attempt(case: schemathesis.Case) -> None:
        response = case.call(timeout=30)
        statuses.add(response.status_code)
        case.validate_response(response, checks=checks)

    try:
        attempt()
    except (hypothesis.errors.Unsatisfiable, schemathesis.errors.InvalidSchema):
        # Where nothing can be wrong, there is nothing of that kind to send.
        return statuses
    return statuses
