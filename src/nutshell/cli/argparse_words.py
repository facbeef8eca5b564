"""argparse's complaints as sentences that can be translated.

argparse puts them together itself and hands over the whole; its own gettext domain knows only the language of the
system, and needs catalogues that nobody installs.
"""

from __future__ import annotations

import re

from nutshell.language import Text, join, tr

# What argparse says -> the same as a template, whose values are the groups.
_COMPLAINTS: dict[str, Text] = {
    r"unrecognized arguments: (?P<given>.+)": tr("unrecognized arguments: {given}"),
    r"the following arguments are required: (?P<names>.+)": tr("the following arguments are required: {names}"),
    r"argument (?P<name>.+): expected one argument": tr("argument {name}: expected one argument"),
    r"argument (?P<name>.+): expected at least one argument": tr("argument {name}: expected at least one argument"),
    r"argument (?P<name>.+): expected at most one argument": tr("argument {name}: expected at most one argument"),
    r"argument (?P<name>.+): expected (?P<count>\d+) arguments?": tr("argument {name}: expected {count} arguments"),
    r"argument (?P<name>.+): ignored explicit argument (?P<given>.+)": tr(
        "argument {name}: ignored explicit argument {given}"
    ),
    r"argument (?P<name>.+): not allowed with argument (?P<other>.+)": tr(
        "argument {name}: not allowed with argument {other}"
    ),
    r"argument (?P<name>.+): invalid choice: (?P<given>.+) \(choose from (?P<names>.+)\)": tr(
        "argument {name}: invalid choice: {given} (choose from {names})"
    ),
    r"argument (?P<name>.+): invalid (?P<kind>\w+) value: (?P<given>.+)": tr(
        "argument {name}: invalid {kind} value: {given}"
    ),
    r"one of the arguments (?P<names>.+) is required": tr("one of the arguments {names} is required"),
    r"ambiguous option: (?P<given>.+) could match (?P<names>.+)": tr("ambiguous option: {given} could match {names}"),
}


def complaint(message: str) -> Text:
    """A complaint of argparse's; one that is not known stays English."""
    for pattern, said in _COMPLAINTS.items():
        match = re.fullmatch(pattern, message, re.DOTALL)
        if match is not None:
            return Text(said.template, match.groupdict())
    return join("", [message])
