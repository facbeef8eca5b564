"""Where models lie."""

from nutshell.store.find import Found, builtin_folder, find, installed

__all__ = ["Found", "builtin_folder", "find", "installed"]
