"""Pulls a model in a fresh process for every line of standard input: ENDPOINT FOLDER. Prints its number and, after
another line, how it ended. The imports are done once, so that two hundred processes cost little."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from nutshell.store.hubs import HuggingFace
from nutshell.store.pull import Wanted, pull
from nutshell.store.store import Store
from nutshell.store.web import Web


def main() -> None:
    # A killed process loses nothing that was written; only a power cut would, and that is not tried here.
    os.fsync = lambda handle: None  # type: ignore[assignment]
    web = Web()
    web._opened()  # reading the system's certificates takes longer than all the rest
    while line := sys.stdin.readline():
        endpoint, folder = line.split()
        child = os.fork()
        if child == 0:
            pull(Store(Path(folder)), Wanted("tiny"), [HuggingFace(web, "owner/name", "main", endpoint)])
            os._exit(0)
        print(child, flush=True)
        # Until the other side is done with the child, its number must not go to another process.
        sys.stdin.readline()
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


main()
