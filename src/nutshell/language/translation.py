"""Sentences said in a language, by the gettext catalogues beside this file.

https://www.gnu.org/software/gettext/manual/html_node/MO-Files.html
"""

from __future__ import annotations

import gettext
from pathlib import Path

from nutshell.language.text import Joined, Text

DOMAIN = "nutshell"
_FOLDERS = {"zh": "zh_CN"}


class Translation:
    """One language. Calling it with a sentence gives the sentence in it; what it does not know stays English."""

    def __init__(self, language: str = "en") -> None:
        self.language = language
        folder = _FOLDERS.get(language)
        self._catalogue = (
            gettext.translation(DOMAIN, Path(__file__).parent, [folder], fallback=True)
            if folder
            else gettext.NullTranslations()
        )

    def __call__(self, text: str) -> str:
        """`text` in this language: a Text with all that it holds, any other string as a template without values."""
        if self.language == "en" or not text:
            # gettext keeps its header under the empty message.
            return text
        if isinstance(text, Joined):
            return self(text.separator).join(map(self, text.parts))
        if not isinstance(text, Text):
            return self._catalogue.gettext(text)
        template = self._catalogue.gettext(text.template)
        if not text.values:
            return template
        values = {name: self._value(value) for name, value in text.values.items()}
        try:
            return template.format_map(values)
        except (LookupError, ValueError, TypeError, AttributeError):
            # A slip in a catalogue must not hide the sentence.
            return str(text)

    def _value(self, value: object) -> object:
        if isinstance(value, BaseException) and len(value.args) > 0 and isinstance(value.args[0], Text):
            value = value.args[0]
        return self(value) if isinstance(value, Text) else value
