"""A system call filter for the sandbox: no new user namespaces, and no rarely used, attack-prone calls.

Most escapes from a Linux sandbox use a vulnerability in a part of the kernel that ordinary programs never need; within
its own user namespace, code may use nearly all of them. The numbers are the kernel's
(arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic/unistd.h), the layout is
include/uapi/linux/{seccomp,filter,audit}.h; seen 2026-11-24.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass

_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_EPERM, _ENOSYS = 1, 38
_CLONE_NEWUSER = 0x10000000
_LOAD, _EQUAL, _AT_LEAST, _HAS_BITS, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
"""Offsets in `struct seccomp_data`; both processors are little-endian."""

_CLONE3 = 435
_SAME_EVERYWHERE = (*range(425, 428), *range(428, 434), 442)
"""io_uring_*; open_tree, move_mount, fsopen, fsconfig, fsmount, fspick; mount_setattr."""


@dataclass(frozen=True)
class _Processor:
    audit: int
    clone: int
    unshare: int
    refused: tuple[int, ...]
    """setns, mount, umount2, pivot_root, ptrace, process_vm_readv, process_vm_writev, keyctl, add_key,
    request_key, bpf, perf_event_open, userfaultfd, open_by_handle_at."""
    x32_from: int | None = None
    """Numbers from here on are a second ABI (x32) for the same calls."""


_PROCESSORS: Mapping[str, _Processor] = {
    "x86_64": _Processor(
        0xC000003E, 56, 272, (308, 165, 166, 155, 101, 310, 311, 250, 248, 249, 321, 298, 323, 304), 0x40000000
    ),
    "aarch64": _Processor(0xC00000B7, 220, 97, (268, 40, 39, 41, 117, 270, 271, 219, 217, 218, 280, 241, 282, 265)),
}


def filter_program(machine: str) -> bytes | None:
    """The filter in the format of bubblewrap's `--seccomp`. None: the processor is not supported.

    machine: as in `os.uname().machine`.
    """
    processor = _PROCESSORS.get(machine)
    if processor is None:
        return None
    program = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, processor.audit),
        (_RETURN, 0, 0, _ERRNO | _ENOSYS),
        (_LOAD, 0, 0, _NUMBER),
    ]
    if processor.x32_from is not None:
        program += [(_AT_LEAST, 0, 1, processor.x32_from), (_RETURN, 0, 0, _ERRNO | _ENOSYS)]
    for number in (*processor.refused, *_SAME_EVERYWHERE):
        program += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ERRNO | _EPERM)]
    program += [
        # Its flags are in memory, which a filter cannot read; without it the C library falls back to clone.
        (_EQUAL, 0, 1, _CLONE3),
        (_RETURN, 0, 0, _ERRNO | _ENOSYS),
        (_EQUAL, 1, 0, processor.clone),
        (_EQUAL, 0, 3, processor.unshare),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_HAS_BITS, 0, 1, _CLONE_NEWUSER),
        (_RETURN, 0, 0, _ERRNO | _EPERM),
        (_RETURN, 0, 0, _ALLOW),
    ]
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
