"""What the reports of all kinds begin and end with."""

from __future__ import annotations

from collections.abc import Mapping

from bench.entries import Entry


def head_lines(title: str, about: Mapping[str, object], settings: Mapping[str, object]) -> list[str]:
    """Title, machine and settings."""
    versions = about.get("versions")
    named = ", ".join(f"{name} {version}" for name, version in versions.items()) if isinstance(versions, dict) else ""
    sets = about.get("instruction_sets")
    return [
        f"# {title}",
        "",
        f"{about['date']}; {about['processor']} ({', '.join(sets) if isinstance(sets, list) else ''}), "
        f"{about['cores']} cores, {about['memory_gb']} GB; {about['system']}, Python {about['python']}; {named}.",
        "",
        "; ".join(f"{name.replace('_', ' ')}: {value}" for name, value in settings.items()) + ".",
        "",
    ]


def note_lines(entries: Mapping[str, Entry]) -> list[str]:
    """Why rows are missing, and how busy the machine was."""
    missing = [f"- {title}: not measured: {entry.reason}" for title, entry in entries.items() if entry.reason]
    averages = [entry.load_average for entry in entries.values()]
    busy = f"Load average before the rows: {min(averages):.2f} to {max(averages):.2f}." if averages else ""
    return [*missing, *([""] if missing else []), *([busy, ""] if busy else [])]
