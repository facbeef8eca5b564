"""Opens the OpenVINO engine and prints what of it reached outside the process: python silent_import.py"""

from __future__ import annotations

import sys

seen: list[str] = []


def watch(event: str, arguments: object) -> None:
    if event.startswith(("socket.", "os.fork", "os.posix_spawn", "os.mkdir", "subprocess.")):
        seen.append(event)


if __name__ == "__main__":
    sys.addaudithook(watch)

    from nutshell.engines import open_engine

    open_engine("openvino")
    print(sorted(seen))
