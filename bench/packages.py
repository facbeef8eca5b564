"""What the peers need and the environment lacks, put in a folder of its own: `python -m bench.packages`.

Nothing that is installed changes: what is there already is used as it is (OpenVINO and PyTorch above all, in the very
versions that Nutshell is measured with), the rest goes to `bench/work/packages`, where `bench.process` lets workers
find it. stable-diffusion-cpp-python is compiled on the way, which takes long: name it to have it.

    python -m bench.packages                                  # nncf, openvino-genai, openvino-tokenizers
    python -m bench.packages stable-diffusion-cpp-python
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from bench.models import WORK

FOLDER = WORK / "packages"
USUAL = ("nncf", "openvino-genai", "openvino-tokenizers")
# Another version of one of these would be another machine.
_KEPT = ("openvino", "torch", "numpy", "onnxruntime", "diffusers", "transformers")
_REPOSITORY = Path(__file__).parents[1]


def python_path() -> str:
    """Where workers find modules: the sources, then what was put beside the environment."""
    return os.pathsep.join(map(str, (_REPOSITORY / "src", _REPOSITORY, FOLDER)))


def missing(report: str) -> list[str]:
    """`name==version` of everything that pip's report (of `--dry-run --report`) would install."""
    found = [entry["metadata"] for entry in json.loads(report)["install"]]
    return [f"{each['name']}=={each['version']}" for each in found]


def constraints() -> list[str]:
    """The versions that must stay."""
    return [f"{name}=={metadata.version(name)}" for name in _KEPT if _installed(name)]


def main(arguments: Sequence[str] | None = None) -> int:
    names = list(sys.argv[1:] if arguments is None else arguments) or list(USUAL)
    with tempfile.NamedTemporaryFile("w+", suffix=".txt") as held, tempfile.NamedTemporaryFile("r") as report:
        held.write("\n".join(constraints()))
        held.flush()
        pip = [sys.executable, "-m", "pip", "install", "--quiet"]
        subprocess.run([*pip, "--dry-run", "--report", report.name, "-c", held.name, *names], check=True)
        wanted = missing(report.read())
        if wanted:
            subprocess.run([*pip, "--no-deps", "--upgrade", "--target", str(FOLDER), *wanted], check=True)
    print(f"{FOLDER}: {', '.join(wanted) or 'nothing was missing'}")
    return 0


def _installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
