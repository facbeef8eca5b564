"""Something that is wrong with a machine, or worth knowing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from nutshell.language import Text
from nutshell.machine.rules.sentences import SENTENCES

Severity = Literal["stops", "limits", "note"]
"""No picture can be drawn; slower, smaller or fewer models; good to know."""

SEVERITIES: tuple[Severity, ...] = ("stops", "limits", "note")
"""Worst first."""


@dataclass(frozen=True)
class Finding:
    """key: which rule found it. values: what stands in the sentence's gaps: names, figures, reasons."""

    key: str
    severity: Severity
    values: Mapping[str, str] = field(default_factory=dict)

    @property
    def sentence(self) -> Text:
        """What is wrong."""
        return Text(SENTENCES[self.key][0].template, self.values)

    @property
    def remedy(self) -> Text:
        """What to do."""
        return Text(SENTENCES[self.key][1].template, self.values)


def size(count: int) -> str:
    """Bytes for people: "512 MB", "7.5 GB" (a thousand thousand, as disks are sold)."""
    if count < 0:
        return f"-{size(-count)}"
    if count >= 999_500_000:
        return f"{count / 1e9:.1f} GB" if count < 99_950_000_000 else f"{count / 1e9:.0f} GB"
    return f"{count / 1e6:.0f} MB"
