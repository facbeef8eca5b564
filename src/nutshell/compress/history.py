"""What was done to a model, step by step: nutshell-history.json in its folder, and a README.md told from it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from nutshell.errors import CorruptFile
from nutshell.language import Text, tr

NAME = "nutshell-history.json"
_FORMAT = 1
_MOST_BYTES = 10_000_000


@dataclass(frozen=True)
class Step:
    """One step. action: "prune", "lowrank", "quantize" or "distil". parameters: what was asked for.

    source: name of the model that it began with. source_files, files: the weights before and after, name -> sha256.
    results: figures that the step itself found. date: in UTC, ISO 8601. version: of Nutshell.
    only_nutshell: why diffusers cannot open the result; "" if it can.
    """

    action: str
    parameters: Mapping[str, Any]
    source: str
    source_files: Mapping[str, str]
    files: Mapping[str, str]
    results: Mapping[str, Any] = field(default_factory=dict)
    date: str = ""
    version: str = ""
    only_nutshell: str = ""

    @property
    def sentence(self) -> Text:
        """`prune of sd15 (recipe tiny), 2026-11-22`"""
        return tr(
            "{action} of {source} ({parameters}), {date}",
            action=self.action,
            source=self.source,
            parameters=described(self.parameters),
            date=self.date[:10],
        )


def read_history(folder: Path) -> tuple[Step, ...]:
    """The steps of the model in `folder`, first to last; none where there is no history. Raises CorruptFile."""
    path = folder / NAME
    if not folder.is_dir() or not path.is_file():
        return ()
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ValueError("too large")
        content = json.loads(path.read_bytes())
        return tuple(Step(**row) for row in content["steps"])
    except (ValueError, TypeError, KeyError) as error:
        raise CorruptFile(
            tr("{path} is damaged: {error}", path=path, error=error), tr("delete it; the model itself needs it not")
        ) from error


def history_bytes(steps: Sequence[Step]) -> bytes:
    """The file's content."""
    return json.dumps({"format": _FORMAT, "steps": [asdict(step) for step in steps]}, indent=1).encode() + b"\n"


def readme(name: str, licence: str, steps: Sequence[Step], flags: str = "") -> str:
    """README.md of a model that was made by these steps; English, as model cards are. flags: to draw with it."""
    lines = ["---", f"license: {licence}", "library_name: diffusers", "tags: [nutshell]", "---", "", f"# {name}", ""]
    lines += [f"Made from `{steps[0].source}` with `nutshell compress`:", ""]
    for number, step in enumerate(steps, 1):
        lines.append(f"{number}. **{step.action}** of `{step.source}`: {described(step.parameters)}. {step.date[:10]}, "
                     f"Nutshell {step.version}.")  # fmt: skip
        lines += [f"   - {key.replace('_', ' ')}: {value}" for key, value in step.results.items()]
    reasons = [step.only_nutshell for step in steps if step.only_nutshell]
    lines += ["", f"Only Nutshell opens it: {reasons[-1]}." if reasons else "diffusers opens it, as Nutshell does."]
    lines += ["", f'    nutshell "a red apple" --model {name} {flags}'.rstrip()]
    lines += ["", f"The licence is that of `{steps[0].source}`. `{NAME}` holds every file's SHA-256, before and after."]
    return "\n".join(lines) + "\n"


def described(parameters: Mapping[str, Any]) -> str:
    """`recipe tiny, importance magnitude`"""
    said = [f"{key.replace('_', ' ')} {_value(value)}" for key, value in parameters.items() if value not in (None, "")]
    return ", ".join(said)


def opens_in_diffusers(steps: Sequence[Step]) -> Text:
    """For people, of the whole history."""
    reasons = [step.only_nutshell for step in steps if step.only_nutshell]
    if not reasons:
        return tr("diffusers opens it too")
    return tr("only Nutshell opens it: {reason}", reason=Text(reasons[-1]))


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
