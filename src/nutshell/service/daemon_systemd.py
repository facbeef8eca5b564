"""A user unit of systemd for the service (systemd.service(5), systemd.syntax(7))."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nutshell.errors import NutshellError
from nutshell.language import Text, tr
from nutshell.service.private_file import write_private
from nutshell.user_folders import Environment

UNIT = "nutshell.service"
# Of another name, for a unit of the same name on disk would come first.
FORGETFUL_UNIT = "nutshell-amnesia.service"
_SECONDS = 10.0
_START_SECONDS = 150.0
# What the user has set for this terminal holds for the unit, too.
_PASSED = ("NUTSHELL_", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "PYTHONPATH")


@dataclass(frozen=True)
class Systemd:
    """systemctl, loginctl: the programs, an argument for tests."""

    systemctl: str = "systemctl"
    loginctl: str = "loginctl"

    def runs(self) -> bool:
        """Whether systemd manages services for this user, here and now."""
        if sys.platform != "linux" or shutil.which(self.systemctl) is None:
            return False
        return self._do("show", "--property=Version").returncode == 0

    def start(self, name: str) -> None:
        """Start a unit that was just written; returns when it is ready. Raises NutshellError."""
        for words in (("daemon-reload",), ("restart", name)):
            done = self._do(*words, seconds=_START_SECONDS)
            if done.returncode:
                said = " ".join(done.stderr.split())
                raise NutshellError(
                    tr("systemd could not start the service: {reason}", reason=said),
                    tr("journalctl --user --unit {name} tells why; without --daemon it starts in this terminal",
                       name=name),
                )  # fmt: skip

    def stop(self, name: str) -> bool:
        """Stop a unit; False where systemd cannot be reached."""
        return self._do("stop", name, seconds=_START_SECONDS).returncode == 0

    def stay(self) -> Text:
        """Let the user's services go on after the last log-out; says what came of it."""
        user = str(os.getuid())
        linger = self._login("show-user", user, "--property=Linger", "--value")
        if linger.stdout.strip() == "yes":
            return tr("it goes on when you log out")
        if self._login("--no-ask-password", "enable-linger").returncode == 0:
            return tr("it goes on when you log out (loginctl disable-linger changes that)")
        return tr(
            "it ends when you log out; to let it go on: {command}",
            command=f"sudo loginctl enable-linger {_user_name()}",
        )

    def _do(self, *words: str, seconds: float = _SECONDS) -> subprocess.CompletedProcess[str]:
        return _run([self.systemctl, "--user", *words], seconds)

    def _login(self, *words: str) -> subprocess.CompletedProcess[str]:
        return _run([self.loginctl, *words], _SECONDS)


def unit_path(environment: Environment, *, amnesia: bool) -> Path | None:
    """Where the unit lies: in memory for a service that forgets. None where the environment names no folder."""
    if amnesia:
        base = environment.get("XDG_RUNTIME_DIR")
        return Path(base, "systemd", "user", FORGETFUL_UNIT) if base else None
    home = environment.get("HOME")
    base = environment.get("XDG_CONFIG_HOME") or (home and f"{home}/.config")
    return Path(base, "systemd", "user", UNIT) if base else None


def write_unit(path: Path, command: Sequence[str], environment: Mapping[str, str], *, amnesia: bool) -> None:
    """Write the unit (0600: a token may be among the variables). Raises OutputError."""
    write_private(path, unit_text(command, environment, Path.cwd(), amnesia=amnesia))


def unit_text(command: Sequence[str], environment: Mapping[str, str], folder: Path, *, amnesia: bool) -> str:
    """The unit. folder: where relative paths of the command begin."""
    passed = {name: value for name, value in sorted(environment.items()) if name.startswith(_PASSED)}
    lines = [
        "# Written by `nutshell serve --daemon`, which writes it anew each time.",
        "[Unit]",
        "Description=Nutshell, pictures from sentences",
        "StartLimitIntervalSec=60",
        "StartLimitBurst=3",
        "",
        "[Service]",
        "Type=notify",
        "ExecStart=" + " ".join(quoted(word, command=True) for word in command),
        "WorkingDirectory=" + str(folder).replace("%", "%%"),
        *("Environment=" + quoted(f"{name}={value}") for name, value in passed.items()),
        'Environment="PYTHONSAFEPATH=1"',
        "UMask=0077",
        "NoNewPrivileges=yes",
        "Restart=on-failure",
        "RestartSec=2",
        # A wrong setting stays wrong (the exit codes of nutshell).
        "RestartPreventExitStatus=1 2 6",
        # Of a model that is too large the kernel ends the worker, and the service replaces it.
        "OOMPolicy=continue",
        "KillMode=mixed",
        "TimeoutStartSec=120",
        "TimeoutStopSec=60",
        # The journal may lie on a disk.
        *(("StandardOutput=null", "StandardError=null") if amnesia else ()),
        "",
        "[Install]",
        "WantedBy=default.target",
        "",
    ]
    return "\n".join(lines)


def quoted(text: str, *, command: bool = False) -> str:
    """A word as systemd reads it back: in quotes, its specifiers (%) and, in a command, variables ($) taken away."""
    told = "".join(f"\\x{ord(char):02x}" if ord(char) < 32 or ord(char) == 127 else char for char in
                   text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%"))  # fmt: skip
    return '"' + (told.replace("$", "$$") if command else told) + '"'


def tell_ready(environment: Environment | None = None) -> None:
    """Tell systemd that the service answers now (sd_notify(3)); nothing where it does not want to know."""
    name = (os.environ if environment is None else environment).get("NOTIFY_SOCKET", "")
    if not name or not hasattr(socket, "AF_UNIX"):
        return
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as letter:
        # A first @ stands for a zero byte: an abstract address.
        letter.connect("\0" + name[1:] if name.startswith("@") else name)
        letter.sendall(b"READY=1")


def _run(words: Sequence[str], seconds: float) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(words, capture_output=True, text=True, timeout=seconds, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(words, 1, "", str(error))


def _user_name() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
