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
        ("x86_64", X86, 0x40000000 + 56, 0, ENOSYS),  # by the x32 way
        ("x86_64", 0x40000003, 5, 0, ENOSYS),  # by the 32-bit way
        ("aarch64", ARM, 63, 0, ALLOW),  # read
        ("aarch64", ARM, 220, 0x11, ALLOW),  # clone
        ("aarch64", ARM, 220, NEW_USER_NAMESPACE, EPERM),
        ("aarch64", ARM, 97, NEW_USER_NAMESPACE, EPERM),  # unshare
        ("aarch64", ARM, 40, 0, EPERM),  # mount
    ],
)
def test_the_filter_lets_ordinary_calls_through_and_refuses_the_others(
    machine, architecture, number, first_argument, answer
):
    program = filter_program(machine)

    assert program is not None
    assert verdict(program, number, architecture, first_argument) == answer


def test_a_processor_without_a_filter_gets_none():
    assert filter_program("riscv64") is None


def verdict(program: bytes, number: int, architecture: int, first_argument: int) -> int:
    """What the kernel would answer: a reader of the few instructions the filter uses."""
    data = {0: number, 4: architecture, 16: first_argument}
    instructions = list(struct.iter_unpack("=HBBI", program))
    at = accumulator = 0
    while True:
        code, jump_true, jump_false, value = instructions[at]
        at += 1
        if code == 0x06:
            return value
        if code == 0x20:
            accumulator = data[value]
            continue
        holds = {0x15: accumulator == value, 0x35: accumulator >= value, 0x45: accumulator & value != 0}[code]
        at += jump_true if holds else jump_false
