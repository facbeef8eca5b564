"""Where models lie."""

from nutshell.store.find import builtin_folder, find

__all__ = ["builtin_folder", "find"]
