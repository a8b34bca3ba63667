"""What a system keeps beside the bytes of a file: owner, mode, access list, extended attributes.

On Linux an access list is an extended attribute. Those of macOS are not kept: Python has no call for them.
"""

import contextlib
import errno
import os
import stat
import sys
from collections.abc import Mapping

ACCESS_LIST = "system.posix_acl_access"

_VOUCH_FOR_THE_BYTES = {"security.capability", "security.evm", "security.ima"}
"""They go with the old bytes: whoever writes into a file loses them too."""

_NOT_OURS_TO_SET = (errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.EINVAL)


def attributes_of(opened: int) -> Mapping[str, bytes]:
    """The extended attributes of an open file that its successor is to have; none where the system has none."""
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
            if error.errno != errno.ENODATA:  # it is gone by now
                raise
    return found


def give(opened: int, like: os.stat_result, attributes: Mapping[str, bytes]) -> None:
    """Give an open file the owner, as far as this user may, the mode and the attributes of another.

    Raises OSError when an access list or an attribute of the user's cannot be set; of the others, which the
    system itself may keep, those that can be.
    """
    if sys.platform == "win32":
        return  # a new file there inherits what its folder says
    own = os.fstat(opened)
    if (own.st_uid, own.st_gid) != (like.st_uid, like.st_gid):
        # Without the right to give it away it stays ours; what matters is that it can be read and written.
        with contextlib.suppress(PermissionError):
            os.fchown(opened, like.st_uid, like.st_gid)
    _set_attributes(opened, attributes)
    os.fchmod(opened, stat.S_IMODE(like.st_mode))  # last: in an access list it is the mask


def _set_attributes(opened: int, wanted: Mapping[str, bytes]) -> None:
    if sys.platform != "linux":
        return
    has = attributes_of(opened)
    if ACCESS_LIST in has and ACCESS_LIST not in wanted:
        os.removexattr(opened, ACCESS_LIST)  # its folder gives one to each new file
    for name, value in wanted.items():
        if has.get(name) == value:
            continue
        try:
            os.setxattr(opened, name, value)
        except OSError as error:
            is_the_users = name == ACCESS_LIST or name.startswith("user.")
            if is_the_users or error.errno not in _NOT_OURS_TO_SET:
                raise
