"""Recorded machines: what a machine's files and tools say, and what must be made of it.

`tests/machines/NAME/` holds files where the machine has them (`proc/cpuinfo`), with "=" for ":" in names, which
Windows could not check out; what commands write in `commands/nvidia-smi.txt`, the words of the command joined by "-"
and without what Windows forbids, first line "# exit 9" or "# hangs" if so; `ask.json`, the answers to
`nutshell.machine.questions`; `nvml.json`; and `expected.toml`. All are written by hand after the tools' documented
formats, none is of a person's machine.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nutshell.language import Text, tr
from nutshell.machine import Machine, probe
from nutshell.machine.source import Output, Unreadable

ZOO = Path(__file__).parent
NAMES = tuple(sorted(path.parent.name for path in ZOO.glob("*/expected.toml")))


class Recorded:
    """A source that is a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._answers: dict[str, Any] = json.loads((folder / "ask.json").read_text(encoding="utf-8"))
        self.platform: str = self._answers["platform"]

    def read(self, path: str) -> str:
        try:
            return self._place(path).read_bytes().decode("utf-8", "replace")
        except OSError as error:
            raise Unreadable(tr("there is no {path}", path=path)) from error

    def list(self, path: str) -> Sequence[str]:
        try:
            return sorted(entry.name.replace("=", ":") for entry in self._place(path).iterdir())
        except OSError as error:
            raise Unreadable(tr("there is no {path}", path=path)) from error

    def run(self, *command: str, timeout: float) -> Output:
        name = re.sub(r"[^\w.]+", "-", "-".join(command)).strip("-")
        try:
            text = (self._folder / "commands" / f"{name}.txt").read_text(encoding="utf-8")
        except OSError as error:
            raise Unreadable(tr("there is no {path}", path=command[0])) from error
        first, _, rest = text.partition("\n")
        if first == "# hangs":
            raise Unreadable(tr("{what} did not answer within {seconds:g} s", what=command[0], seconds=timeout))
        if first.startswith("# exit "):
            return Output(rest, int(first.removeprefix("# exit ")))
        return Output(text, 0)

    def ask(self, question: str, about: str = "") -> Any:
        if question == "nvml":
            try:
                return json.loads((self._folder / "nvml.json").read_text(encoding="utf-8"))
            except OSError:
                return {"missing": True, "error": "the NVIDIA driver's library (NVML) is not installed"}
        answer = self._answers.get(question)
        if about and answer is not None:
            answer = answer.get(about)
        if answer is None:
            raise Unreadable(Text(f"{f'{question} {about}'.strip()!r} was not recorded"))
        return answer

    def _place(self, path: str) -> Path:
        return self._folder / path.lstrip("/").replace(":", "=")


def recorded(name: str) -> Machine:
    """The machine of that name, as the probe sees it."""
    return probe(Recorded(ZOO / name))
