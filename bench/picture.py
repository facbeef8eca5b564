"""One picture by a peer, from nothing to the PNG: `python -m bench.picture JOB STEPS FILE`; says the file's name."""

from __future__ import annotations

import json
import os
import sys

from bench.peers import Job, open_peer


def main() -> None:
    job, steps, path = Job(**json.loads(sys.argv[1])), int(sys.argv[2]), sys.argv[3]
    # Libraries talk on stdout: the first line of it is taken for the end.
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    open_peer(job).picture(steps).save(path)
    print(path, file=out, flush=True)


if __name__ == "__main__":
    main()
