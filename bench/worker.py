"""One measured process: does a job, answers in lines of JSON.

    python -m bench.worker '{"task": "step", ...}'

task "step": load, one step, answer; then one step for each "step" read, and the peak at "end".
task "picture": one picture, answer.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

MARK = "@bench "


def main() -> None:
    given = json.loads(sys.argv[1])
    task, steps = given.pop("task"), given.pop("steps")
    # Libraries talk on stdout: what is meant for the parent goes to a copy of it, the rest to stderr.
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)

    def say(**content: Any) -> None:
        print(MARK + json.dumps(content), file=out, flush=True)

    try:
        _work(task, steps, given, say)
    except Exception as error:  # noqa: BLE001 - whatever a peer raises becomes a visible row
        say(error=f"{type(error).__name__}: {' '.join(str(error).split())[:200]}")
        sys.exit(1)


def _work(task: str, steps: int, given: dict[str, Any], say: Any) -> None:
    from bench.machine import peak_bytes, resident
    from bench.peers import Job, open_peer

    peer = open_peer(Job(**given))
    if task == "picture":
        image = peer.picture(steps)
        say(size=list(image.size), peak_bytes=peak_bytes(), **resident())
        return
    peer.load_and_step()
    say(peak_bytes=peak_bytes(), **resident())
    for line in sys.stdin:
        if line.strip() != "step":
            break
        say(seconds=peer.step())
    say(peak_bytes=peak_bytes(), **resident())


if __name__ == "__main__":
    main()
