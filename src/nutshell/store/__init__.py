"""Where models lie: what was fetched, what comes with the program, what a stick holds."""

from nutshell.store.check import Verdict
from nutshell.store.find import Found, builtin_folder, find, installed
from nutshell.store.manifest import Manifest, StoredFile
from nutshell.store.store import Store

__all__ = ["Found", "Manifest", "Store", "StoredFile", "Verdict", "builtin_folder", "find", "installed"]
