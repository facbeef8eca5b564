"""What is put beside the environment, and what must not change in it."""

from __future__ import annotations

import json
from importlib import metadata

from bench.packages import constraints, missing


def test_only_what_pip_would_install_is_put_beside() -> None:
    report = {"install": [{"metadata": {"name": "nncf", "version": "3.4.0"}, "download_info": {}}]}
    assert missing(json.dumps(report)) == ["nncf==3.4.0"]
    assert missing('{"install": []}') == []


def test_the_engines_stay_as_they_are() -> None:
    held = dict(line.split("==") for line in constraints())
    assert held["openvino"] == metadata.version("openvino")
    assert held["numpy"] == metadata.version("numpy")
