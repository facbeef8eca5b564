"""What people read, in their language.

text          `tr("there is no folder {path}", path=path)`: a sentence that knows how it was made
translation   says such a sentence in a language
choice        which language somebody wants: --lang, the system's locale
zh_CN/        the Chinese catalogue; nutshell.pot is the English one, made from the code

The code says everything in English, which is also what logs, JSON and pictures hold. Only where a sentence is
shown to a person is it translated, so no other part of the program knows a language.
"""

from nutshell.language.choice import LANGUAGES, best_language, read_language
from nutshell.language.text import Text, join, tr
from nutshell.language.translation import Translation

__all__ = ["LANGUAGES", "Text", "Translation", "best_language", "join", "read_language", "tr"]
