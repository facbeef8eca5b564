"""Where pictures go and what they are called."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING

from nutshell.errors import OutputError
from nutshell.files import check_folder, output_error, reserved
from nutshell.language import tr

if TYPE_CHECKING:
    from nutshell.pipeline import Picture

MOST_CHARACTERS = 40
MOST_BYTES = 90  # with the rest of the name well under every file system's limit
NOTHING_LEFT = "picture"  # the name of a prompt without a letter or digit
OUTPUT_HINT = tr("write elsewhere: --output FOLDER")


class Outputs:
    """Names for the pictures of one run.

    output: None for new names in the current folder; a folder (one that ends in a slash is made) for
    new names there; a file for the only picture, which replaces what was there, or, if there are
    `several`, for file-1, file-2 and so on, which replace nothing.
    """

    def __init__(self, output: str | None, *, several: bool) -> None:
        self.file: Path | None = None
        self.folder = Path(output or "")
        self._make = output is not None and output.endswith(("/", os.sep))
        self._several = several
        self._number = 0
        if output is not None and not self._make and not self.folder.is_dir():
            self.file, self.folder = self.folder, self.folder.parent

    def check(self) -> None:
        """Raise OutputError now rather than after the drawing."""
        from nutshell.pipeline.parameters import format_of

        if self._make:
            make_folder(self.folder)
        if self.file is not None:
            format_of(self.file)
            if self.file.exists() and not self.file.is_file():
                return  # a device or a pipe
        try:
            check_folder(self.folder)
        except OutputError as error:
            if self.file is None and self.folder == Path():
                reason = error.message.values["reason"]
                raise OutputError(tr("cannot write into this folder: {reason}", reason=reason), OUTPUT_HINT) from error
            raise

    def save(self, picture: Picture, prompt: str) -> Path:
        """Write a picture and return its path."""
        self._number += 1
        if self.file is not None and not self._several:
            return picture.save(self.file)
        if self.file is not None:
            stem, suffix = f"{self.file.stem}-{self._number}", self.file.suffix or ".png"
        else:
            stem, suffix = picture_stem(prompt, picture.seed), ".png"
        with reserved(self.folder, stem, suffix) as path:
            return picture.save(path)


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise OutputError(
            tr("cannot write {folder}/: there is a file of that name", folder=folder), OUTPUT_HINT
        ) from error
    except OSError as error:
        raise output_error(folder, error) from error


def picture_stem(prompt: str, seed: int) -> str:
    """`nutshell-a-red-apple-7`: letters and digits of any script, good on every file system."""
    stem = f"nutshell-{slug(prompt)}-{seed}"
    try:
        os.fsencode(stem)
    except UnicodeEncodeError:  # a locale that cannot name it
        return f"nutshell-{slug(prompt.encode('ascii', 'ignore').decode())}-{seed}"
    return stem


def slug(prompt: str) -> str:
    """The prompt's words, lower-case, joined by hyphens; whole words where that leaves enough."""
    text = unicodedata.normalize("NFC", prompt.lower())
    words = "".join(char if _kept(char) else " " for char in text).split()
    short = ""
    for word in words:
        longer = f"{short}-{word}" if short else word
        if len(longer) > MOST_CHARACTERS or len(longer.encode("utf-8", "ignore")) > MOST_BYTES:
            break
        short = longer
    return short or _cut(words[0] if words else "") or NOTHING_LEFT


def _kept(char: str) -> bool:
    # Combining marks belong to the letter before them (Hindi, Thai, Arabic).
    return char.isalnum() or unicodedata.category(char) in ("Mn", "Mc")


def _cut(word: str) -> str:
    word = word[:MOST_CHARACTERS]
    return word.encode("utf-8", "ignore")[:MOST_BYTES].decode("utf-8", "ignore")
