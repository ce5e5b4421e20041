"""Linux' seccomp: system calls that a decoder has no need of fail, whatever its code has become.

A list of what is forbidden rather than of what is allowed: which calls libraries make changes with each of their
releases, and a recording must not fail for that. Files are Landlock's task; here is what it leaves open.

Source: https://docs.kernel.org/userspace-api/seccomp_filter.html; numbers from asm/unistd_64.h and
asm-generic/unistd.h.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Iterator, Mapping, Sequence

from pipeline.audio.sandbox.system import SET_SECCOMP, forbid_new_privileges, prctl

FILTER_MODE = 2
ALLOW, KILL = 0x7FFF0000, 0x80000000
REFUSE = 0x00050000
"""Added to the error number that the caller gets."""

LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
NUMBER_AT, ARCHITECTURE_AT, ARGUMENTS_AT = 0, 4, 16
"""Offsets in struct seccomp_data; of an argument's eight bytes the lower four come first."""

THREAD = 0x00010000
"""CLONE_THREAD: a thread, no process."""
X32 = 0x40000000
CPU = 0
"""RLIMIT_CPU; Python and the C library read and set limits by one call, which here may be about this one only."""

ARCHITECTURES: Mapping[str, tuple[int, int]] = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}
"""The kernel's word for each, and the column of its numbers below."""

FORBIDDEN: Mapping[str, tuple[int | None, int | None]] = {
    # the network, and ways round this filter
    "socket": (41, 198),
    "socketpair": (53, 199),
    "connect": (42, 203),
    "bind": (49, 200),
    "listen": (50, 201),
    "accept": (43, 202),
    "accept4": (288, 242),
    "io_uring_setup": (425, 425),
    # other programs and other processes
    "fork": (57, None),
    "vfork": (58, None),
    "execve": (59, 221),
    "execveat": (322, 281),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424),
    "kcmp": (312, 272),
    "kill": (62, 129),
    "tkill": (200, 130),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "setpriority": (141, 140),
    # limits, which root could raise again
    "setrlimit": (160, 164),
    # what Landlock doesn't know of files
    "chmod": (90, None),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "chown": (92, None),
    "lchown": (94, None),
    "fchown": (93, 55),
    "fchownat": (260, 54),
    "utime": (132, None),
    "utimes": (235, None),
    "futimesat": (261, None),
    "utimensat": (280, 88),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "link": (86, None),
    "linkat": (265, 37),
    "symlink": (88, None),
    "symlinkat": (266, 36),
    "rename": (82, None),
    "renameat": (264, 38),
    "renameat2": (316, 276),
    "unlink": (87, None),
    "unlinkat": (263, 35),
    "mknod": (133, None),
    "mknodat": (259, 33),
    # the system
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_by_handle_at": (304, 265),
    "fsopen": (430, 430),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "unshare": (272, 97),
    "setns": (308, 268),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "kexec_load": (246, 104),
    "reboot": (169, 142),
    "shmget": (29, 194),
    "msgget": (68, 186),
}
CLONE, CLONE3, PRLIMIT, TGKILL = (56, 220), (435, 435), (302, 261), (234, 131)
FCNTL, IOCTL = (72, 25), (16, 29)
SET_OWNER: Mapping[tuple[int, int], tuple[int, ...]] = {FCNTL: (8, 10, 15), IOCTL: (0x8901, 0x8902)}
"""Who gets which signal when a descriptor is ready, any process and any signal: F_SETOWN, F_SETSIG, F_SETOWN_EX;
FIOSETOWN, SIOCSPGRP. Source: asm-generic/fcntl.h, asm-generic/sockios.h."""


def forbid() -> bool:
    """Forbid this thread, and all that it starts, what decoding doesn't need.

    Returns:
        Whether that holds; False where the kernel or the processor has no such filter.
    """
    known = ARCHITECTURES.get(platform.machine())
    if known is None:
        return False
    filters = b"".join(_program(*known))
    held = ctypes.create_string_buffer(filters, len(filters))
    head = struct.pack("@HxxxxxxP", len(filters) // 8, ctypes.addressof(held))
    try:
        forbid_new_privileges()
        prctl(SET_SECCOMP, FILTER_MODE, ctypes.create_string_buffer(head, len(head)))
    except OSError as error:
        if error.errno in {errno.EINVAL, errno.ENOSYS, errno.EACCES, errno.EPERM}:
            return False
        raise
    return True


def _program(architecture: int, column: int) -> Iterator[bytes]:
    """Yield the filter's instructions: 16 bits of what to do, two jumps, a value."""
    yield _step(LOAD, ARCHITECTURE_AT)
    yield _step(EQUAL, architecture, 1, 0)
    yield _step(RETURN, KILL)
    yield _step(LOAD, NUMBER_AT)
    if column == 0:
        yield _step(AT_LEAST, X32, 0, 1)
        yield _step(RETURN, KILL)
    for numbers in FORBIDDEN.values():
        number = numbers[column]
        if number is not None:
            yield from _refused(number, errno.EPERM)
    yield from _refused(CLONE3[column], errno.ENOSYS)  # its flags can't be seen; the C library falls back on clone
    # A thread, but no process; signals to itself only; its own limit of CPU time, and no other.
    yield from _unless(CLONE[column], (0, ANY_BIT, THREAD))
    yield from _unless(TGKILL[column], (0, EQUAL, os.getpid()))
    yield from _unless(PRLIMIT[column], (0, EQUAL, 0), (1, EQUAL, CPU))
    for numbers, commands in SET_OWNER.items():
        yield from _unless_one_of(numbers[column], 1, commands)
    yield _step(RETURN, ALLOW)


def _refused(number: int, error: int) -> Iterator[bytes]:
    yield _step(EQUAL, number, 0, 1)
    yield _step(RETURN, REFUSE + error)


def _unless(number: int, *tests: tuple[int, int, int]) -> Iterator[bytes]:
    """Refuse a call unless the lower halves of arguments pass tests: which argument, how, with what."""
    yield _step(EQUAL, number, 0, 3 * len(tests) + 1)
    for argument, test, value in tests:
        yield _step(LOAD, ARGUMENTS_AT + 8 * argument)
        yield _step(test, value, 1, 0)
        yield _step(RETURN, REFUSE + errno.EPERM)
    yield _step(RETURN, ALLOW)


def _unless_one_of(number: int, argument: int, values: Sequence[int]) -> Iterator[bytes]:
    """Allow a call unless the lower half of an argument is one of these."""
    yield _step(EQUAL, number, 0, 2 * len(values) + 2)
    yield _step(LOAD, ARGUMENTS_AT + 8 * argument)
    for value in values:
        yield from _refused(value, errno.EPERM)
    yield _step(RETURN, ALLOW)


def _step(what: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", what, if_true, if_false, value)
