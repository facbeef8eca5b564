"""One pass of a denoiser on an imitated older processor, measured.

    python -m bench.isa_worker '{"set": "avx2", "engine": "onnx", "precision": "int8", ...}'

Loads, runs one pass, answers; then one more for each "step" read, and the peak at "end". Nothing that looks at the
processor is imported before it is made to look older.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from typing import Any

from bench.cpuid import run_hidden
from bench.older_sets import SETS
from bench.worker import MARK


@dataclass(frozen=True)
class IsaJob:
    """One row. set: a name of SETS. folder: the model's. features: of the processor as it is. hide: change CPUID."""

    set: str
    engine: str
    precision: str
    folder: str
    side: int
    threads: int
    features: tuple[str, ...]
    hide: bool


def main() -> None:
    job = IsaJob(**json.loads(sys.argv[1]))
    # Libraries talk on stdout: what is meant for the parent goes to a copy of it, the rest to stderr.
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)

    def say(**content: Any) -> None:
        print(MARK + json.dumps(content), file=out, flush=True)

    def work() -> None:
        try:
            _measure(job, say)
        except Exception as error:  # noqa: BLE001 - whatever goes wrong becomes a visible row
            say(error=f"{type(error).__name__}: {' '.join(str(error).split())[:200]}")
            sys.exit(1)

    older = next(each for each in SETS if each.name == job.set)
    sys.exit(run_hidden(work, older.hidden) if job.hide else work())


def _measure(job: IsaJob, say: Any) -> None:
    import time

    from bench.isa_pass import Pass, seen_features
    from bench.machine import peak_bytes, resident

    one = Pass(job)
    one.run()
    say(seen=seen_features(), peak_bytes=peak_bytes(), **resident())
    for line in sys.stdin:
        if line.strip() != "step":
            break
        begun = time.perf_counter()
        one.run()
        say(seconds=time.perf_counter() - begun)
    say(peak_bytes=peak_bytes(), **resident())


if __name__ == "__main__":
    main()
