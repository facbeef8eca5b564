"""A process whose CPUID instructions are answered by another: it sees an older processor than it runs on.

Linux lets a task make CPUID fault (arch_prctl(2), ARCH_CPUID; on Intel's processors from Ivy Bridge on and in virtual
machines that offer it). The parent traces the process (ptrace(2)), answers each such fault with the real values less
the bits that are to be hidden, and lets it go on. Nothing else is slowed down: libraries ask once, when they load.
XGETBV is not caught; libraries ask CPUID before they trust it.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import platform
import signal
import sys
from collections.abc import Callable, Sequence

from bench.older_sets import Bit

_ARCH_PRCTL, _ARCH_CPUID = 158, 0x1012
_TRACEME, _PEEKTEXT, _CONT, _KILL, _GETREGS, _SETREGS, _SETOPTIONS = 0, 1, 7, 8, 12, 13, 0x4200
# EXITKILL | TRACEEXEC | TRACECLONE | TRACEVFORK | TRACEFORK
_OPTIONS = 0x100000 | 0x10 | 0x8 | 0x4 | 0x2
_WALL = 0x40000000
_CPUID = b"\x0f\xa2"
_REGISTERS = ("eax", "ebx", "ecx", "edx")
# struct user_regs_struct of sys/user.h.
_NAMES = (
    *("r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10", "r9", "r8", "rax", "rcx", "rdx", "rsi", "rdi"),
    *("orig_rax", "rip", "cs", "eflags", "rsp", "ss", "fs_base", "gs_base", "ds", "es", "fs", "gs"),
)
# void ask(uint32 leaf, uint32 subleaf, uint32 out[4]): push rbx; mov r8, rdx; mov eax, edi; mov ecx, esi; cpuid;
# mov [r8], eax; mov [r8+4], ebx; mov [r8+8], ecx; mov [r8+12], edx; pop rbx; ret
_ASK = bytes.fromhex("53 49 89d0 89f8 89f1 0fa2 418900 41895804 41894808 4189500c 5b c3")


class _Registers(ctypes.Structure):
    _fields_ = [(name, ctypes.c_ulonglong) for name in _NAMES]


def can_hide() -> bool:
    """Whether this kernel and processor let CPUID fault. Tried in a process of its own."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return False
    child = os.fork()
    if child == 0:
        os._exit(0 if _let_fault() else 1)
    return os.waitpid(child, 0)[1] == 0


def run_hidden(work: Callable[[], None], hidden: Sequence[Bit]) -> int:
    """Do `work` in a forked process that does not see the bits `hidden`; its exit code, 128 + the signal that ended it.

    Call it before any library is loaded that looks at the processor. Standard streams are the same.
    """
    answer = _Answers(hidden)
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        _in_child(work)
    os.waitpid(child, 0)
    _ptrace(_SETOPTIONS, child, 0, _OPTIONS)
    _ptrace(_CONT, child, 0, 0)
    known = {child}
    while True:
        task, status = os.waitpid(-1, _WALL)
        if os.WIFSTOPPED(status):
            _ptrace(_CONT, task, 0, _deliver(task, status, known, answer))
        elif task == child:
            return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def _in_child(work: Callable[[], None]) -> None:
    code = 70
    try:
        _ptrace(_TRACEME, 0, 0, 0)
        os.kill(os.getpid(), signal.SIGSTOP)
        if _let_fault():
            work()
            code = 0
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else 1
    finally:
        sys.stdout.flush()
        os._exit(code)


def _deliver(task: int, status: int, known: set[int], answer: _Answers) -> int:
    """The signal that a stopped task is to get: 0 where it was one of ours."""
    number, event = os.WSTOPSIG(status), status >> 16
    if event:
        return 0
    if number == signal.SIGSTOP and task not in known:
        # A new thread begins so.
        known.add(task)
        return 0
    if number == signal.SIGSEGV and answer.given(task):
        return 0
    return number


class _Answers:
    """Answers the CPUID that a task has stopped at."""

    def __init__(self, hidden: Sequence[Bit]) -> None:
        self._hidden = hidden
        self._page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
        self._page.write(_ASK)
        address = ctypes.addressof(ctypes.c_char.from_buffer(self._page))
        self._ask = ctypes.CFUNCTYPE(None, ctypes.c_uint32, ctypes.c_uint32, ctypes.c_void_p)(address)

    def given(self, task: int) -> bool:
        """Whether it was a CPUID, which is then done."""
        registers = _Registers()
        _ptrace(_GETREGS, task, 0, ctypes.addressof(registers))
        if _word(task, registers.rip)[:2] != _CPUID:
            return False
        values = self.values(registers.rax & 0xFFFFFFFF, registers.rcx & 0xFFFFFFFF)
        registers.rax, registers.rbx, registers.rcx, registers.rdx = values
        registers.rip += len(_CPUID)
        _ptrace(_SETREGS, task, 0, ctypes.addressof(registers))
        return True

    def values(self, leaf: int, subleaf: int) -> list[int]:
        """EAX, EBX, ECX and EDX, less what is hidden."""
        found = (ctypes.c_uint32 * 4)()
        self._ask(leaf, subleaf, ctypes.addressof(found))
        values = list(found)
        for its_leaf, its_subleaf, register, bit in self._hidden:
            if (its_leaf, its_subleaf if leaf == 7 else subleaf) == (leaf, subleaf):
                values[_REGISTERS.index(register)] &= ~(1 << bit)
        return values


def _let_fault() -> bool:
    return _library().syscall(_ARCH_PRCTL, _ARCH_CPUID, 0) == 0


def _word(task: int, address: int) -> bytes:
    word = _library().ptrace(_PEEKTEXT, ctypes.c_long(task), ctypes.c_void_p(address), None)
    return int(word & 0xFFFFFFFFFFFFFFFF).to_bytes(8, "little")


def _ptrace(request: int, task: int, address: int, data: int) -> None:
    done = _library().ptrace(request, ctypes.c_long(task), ctypes.c_void_p(address), ctypes.c_void_p(data))
    if done == -1:
        number = ctypes.get_errno()
        # A task that was killed meanwhile is told by the next wait.
        if number != 3:  # ESRCH
            raise OSError(number, os.strerror(number), f"ptrace {request}")


def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(None, use_errno=True)
    library.ptrace.restype = ctypes.c_long
    library.syscall.restype = ctypes.c_long
    return library
