"""A process that the kernel kills when it starts another or opens a socket (seccomp, x86-64).

A filter is installed between fork and exec and inherited by the program. It lets everything pass
but the calls that make a process or a socket; ``clone`` may make threads, and ``clone3``, whose
flags a filter cannot see, is reported as missing so that glibc falls back to ``clone``.
"""

from __future__ import annotations

import ctypes
import platform
import struct
import sys

_PR_SET_NO_NEW_PRIVS, _PR_SET_SECCOMP, _FILTER = 38, 22, 2
_KILL, _ALLOW, _NO_SUCH_CALL = 0x80000000, 0x7FFF0000, 0x00050000 | 38
_LOAD, _EQUAL, _ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06
_NUMBER, _FIRST_ARGUMENT = 0, 16  # offsets in struct seccomp_data
_CLONE_THREAD = 0x00010000
_SOCKET, _SOCKETPAIR, _CLONE, _FORK, _VFORK, _EXECVEAT, _CLONE3 = 41, 53, 56, 57, 58, 322, 435


def available() -> bool:
    """Whether this machine's system calls are those that the filter knows."""
    return sys.platform == "linux" and platform.machine() == "x86_64"


def enter() -> None:
    """Install the filter in this process, for good. Use as ``preexec_fn``."""
    program = _program()
    code = b"".join(struct.pack("HBBI", *step) for step in program)
    buffer = ctypes.create_string_buffer(code)

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))

    libc = ctypes.CDLL(None, use_errno=True)
    argument = Program(len(program), ctypes.addressof(buffer))
    for call in (
        (_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
        (_PR_SET_SECCOMP, _FILTER, ctypes.byref(argument), 0, 0),
    ):
        if libc.prctl(*call) != 0:
            raise OSError(ctypes.get_errno(), "prctl")


def _program() -> list[tuple[int, int, int, int]]:
    """Steps (code, steps to jump when true, when false, value)."""
    killed = (_SOCKET, _SOCKETPAIR, _FORK, _VFORK, _EXECVEAT)
    steps = [(_LOAD, 0, 0, _NUMBER)]
    for number in killed:
        steps += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _KILL)]
    steps += [(_EQUAL, 0, 1, _CLONE3), (_RETURN, 0, 0, _NO_SUCH_CALL)]
    steps += [
        (_EQUAL, 0, 3, _CLONE),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_ANY_BIT, 1, 0, _CLONE_THREAD),
        (_RETURN, 0, 0, _KILL),
        (_RETURN, 0, 0, _ALLOW),
    ]
    return steps
