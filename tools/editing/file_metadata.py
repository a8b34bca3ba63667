"""Copies file metadata: owner, mode, access control list, extended attributes.

On Linux an ACL is an extended attribute. ACLs and attributes of macOS are not copied: Python has no API for them.
"""

import contextlib
import errno
import os
import stat
import sys
from collections.abc import Mapping

ACCESS_LIST = "system.posix_acl_access"

_VOUCH_FOR_THE_BYTES = {"security.capability", "security.evm", "security.ima"}
"""Bound to the old content: writing to a file removes them too."""

_NOT_OURS_TO_SET = (errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.EINVAL)


def attributes_of(opened: int) -> Mapping[str, bytes]:
    """The extended attributes of an open file that its replacement should have; empty on unsupported systems."""
    if sys.platform != "linux":
        return {}
    try:
        names = set(os.listxattr(opened)) - _VOUCH_FOR_THE_BYTES
    except OSError as error:
        if error.errno not in (errno.ENOTSUP, errno.ENOSYS):
            raise
        return {}
    found: dict[str, bytes] = {}
    for name in names:
        try:
            found[name] = os.getxattr(opened, name)
        except OSError as error:
            if error.errno != errno.ENODATA:  # removed meanwhile
                raise
    return found


def is_script(data: bytes) -> bool:
    """Whether a file with this content is meant to be started by its name."""
    return data.startswith(b"#!")


def copy_metadata(opened: int, like: os.stat_result, attributes: Mapping[str, bytes]) -> None:
    """Copy owner (as far as permitted), mode and attributes of another file to an open file.

    Raises OSError if an ACL or a `user.` attribute cannot be set; system attributes are set where possible.
    """
    if sys.platform == "win32":
        return  # new files inherit permissions from their folder
    own = os.fstat(opened)
    if (own.st_uid, own.st_gid) != (like.st_uid, like.st_gid):
        # An unprivileged user cannot change the owner; the file stays readable and writable for its user.
        with contextlib.suppress(PermissionError):
            os.fchown(opened, like.st_uid, like.st_gid)
    _set_attributes(opened, attributes)
    os.fchmod(opened, stat.S_IMODE(like.st_mode))  # last, because with an ACL the group bits are its mask


def _set_attributes(opened: int, wanted: Mapping[str, bytes]) -> None:
    if sys.platform != "linux":
        return
    has = attributes_of(opened)
    if ACCESS_LIST in has and ACCESS_LIST not in wanted:
        os.removexattr(opened, ACCESS_LIST)  # inherited from the folder's default ACL
    for name, value in wanted.items():
        if has.get(name) == value:
            continue
        try:
            os.setxattr(opened, name, value)
        except OSError as error:
            is_the_users = name == ACCESS_LIST or name.startswith("user.")
            if is_the_users or error.errno not in _NOT_OURS_TO_SET:
                raise
