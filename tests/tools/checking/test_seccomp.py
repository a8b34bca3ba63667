"""The seccomp filter, run by a small interpreter."""

import struct

import pytest

from chargehand.tools.checking.seccomp import filter_program

NEW_USER_NAMESPACE = 0x10000000
X86, ARM = 0xC000003E, 0xC00000B7
ALLOW, EPERM, ENOSYS = 0x7FFF0000, 0x00050001, 0x00050026


@pytest.mark.parametrize(
    ("machine", "architecture", "number", "first_argument", "answer"),
    [
        ("x86_64", X86, 0, 0, ALLOW),  # read
        ("x86_64", X86, 59, 0, ALLOW),  # execve
        ("x86_64", X86, 56, 0x11, ALLOW),  # clone, as fork does
        ("x86_64", X86, 56, NEW_USER_NAMESPACE | 0x11, EPERM),
        ("x86_64", X86, 272, NEW_USER_NAMESPACE, EPERM),  # unshare
        ("x86_64", X86, 272, 0x200, ALLOW),
        ("x86_64", X86, 435, 0, ENOSYS),  # clone3
        ("x86_64", X86, 165, 0, EPERM),  # mount
        ("x86_64", X86, 425, 0, EPERM),  # io_uring_setup
        ("x86_64", X86, 0x40000000 + 56, 0, ENOSYS),  # via the x32 ABI
        ("x86_64", 0x40000003, 5, 0, ENOSYS),  # via the 32-bit ABI
        ("aarch64", ARM, 63, 0, ALLOW),  # read
        ("aarch64", ARM, 220, 0x11, ALLOW),  # clone
        ("aarch64", ARM, 220, NEW_USER_NAMESPACE, EPERM),
        ("aarch64", ARM, 97, NEW_USER_NAMESPACE, EPERM),  # unshare
        ("aarch64", ARM, 40, 0, EPERM),  # mount
    ],
)
def test_the_filter_allows_ordinary_system_calls_and_rejects_dangerous_ones(
    machine, architecture, number, first_argument, answer
):
    program = filter_program(machine)

    assert program is not None
    assert verdict(program, number, architecture, first_argument) == answer


def test_there_is_no_filter_for_other_architectures():
    assert filter_program("riscv64") is None


def verdict(program: bytes, number: int, architecture: int, first_argument: int) -> int:
    """The kernel's verdict, from an interpreter of the few instructions that the filter uses."""
    data = {0: number, 4: architecture, 16: first_argument}
    instructions = list(struct.iter_unpack("=HBBI", program))
    position = accumulator = 0
    while True:
        code, jump_true, jump_false, value = instructions[position]
        position += 1
        if code == 0x06:
            return value
        if code == 0x20:
            accumulator = data[value]
            continue
        holds = {0x15: accumulator == value, 0x35: accumulator >= value, 0x45: accumulator & value != 0}[code]
        position += jump_true if holds else jump_false
