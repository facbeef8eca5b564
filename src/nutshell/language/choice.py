"""Which language somebody wants."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping

# In their own words, for whoever chooses.
LANGUAGES = {"en": "English", "zh": "简体中文"}

# In the order of the GNU tools; LANGUAGE is a list (zh_CN:en).
_VARIABLES = ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG")


def read_language(text: str) -> str:
    """ "en" or "zh" from what people and systems write: zh_CN.UTF-8, zh-Hans, EN, 中文. ValueError for any other."""
    plain = text.strip().lower()
    for code, name in LANGUAGES.items():
        if plain == name.lower() or plain.replace("-", "_").partition(".")[0].partition("_")[0] == code:
            return code
    if plain in ("中文", "chinese"):
        return "zh"
    if plain in ("english", "c", "posix"):
        return "en"
    raise ValueError(text)


def best_language(environment: Mapping[str, str], windows: Callable[[], str] | None = None) -> str:
    """The system's language where there is a catalogue of it, else English. windows: another such system, for tests."""
    for variable in _VARIABLES:
        value = environment.get(variable, "")
        for part in value.split(":") if variable == "LANGUAGE" else (value,):
            try:
                return read_language(part.partition(".")[0])
            except ValueError:
                continue
        # The first that is set decides, except that LANGUAGE is a wish.
        if value and variable != "LANGUAGE":
            return "en"
    ask = windows or (_windows_language if sys.platform == "win32" else str)
    try:
        return read_language(ask())
    except (ValueError, OSError, AttributeError):
        return "en"


def _windows_language() -> str:
    """The language of the desktop, such as zh_CN (GetUserDefaultUILanguage)."""
    import ctypes
    import locale

    windll = getattr(ctypes, "windll")  # noqa: B009 - only there on Windows
    return locale.windows_locale.get(windll.kernel32.GetUserDefaultUILanguage(), "")
