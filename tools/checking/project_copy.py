"""Copies a project to run tests in, without its history, caches, secrets and what git ignores but built modules.

It does not protect against secrets in files with inconspicuous names. The sandbox has no network, but test output goes
into the receipt and back to the model.
"""

import errno
import os
import re
import shutil
import stat
import tempfile
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from fnmatch import fnmatch
from pathlib import Path

import anyio.from_thread
import anyio.to_thread

from ..editing.file_metadata import is_script
from ..errors import FileRefused
from .gitignore import Ignoring, ignoring_in
from .scratch import scratch_folder

BYTES_AT_MOST = 128_000_000
FILES_AT_MOST = 20_000

_HISTORY = {".git", ".hg", ".svn", ".jj"}
_CACHES = {
    ".venv", "venv", "node_modules", "__pycache__", ".tox", ".nox", ".mypy_cache", ".pytest_cache", ".ruff_cache",
}  # fmt: skip
"""Large and useless in the sandbox, where these packages are not visible."""

SECRET_FILES = (
    ".env", ".env.*", "*.env", ".envrc", "*.pem", "*.key", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.kdbx", "*.ppk",
    "id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*", ".netrc", "_netrc", ".npmrc", ".pypirc", ".pgpass", ".my.cnf",
    ".git-credentials", ".htpasswd", ".vault-token", ".dockercfg", "credentials", "credentials.*", "secrets.json",
    "secrets.toml", "secrets.y*ml", "*service-account*.json", "*service_account*.json", "*.tfstate", "*.tfstate.*",
    "*.tfvars", "local.settings.json",
)  # fmt: skip
"""Case-insensitive name patterns of files that contain secrets; never copied."""

_EXTENSION_MODULES = (".so", ".pyd")
_SAYS_GENERATED = re.compile(rb"\A(?:.*\n){0,4}.*\b(?:generated|do not edit)\b", re.IGNORECASE)
"""In the first lines of modules by setuptools-scm, hatch-vcs, protoc, ANTLR and uic (their output, seen 2026-11-30)."""

SECRET_FOLDERS = {".ssh", ".gnupg", ".aws", ".azure", ".gcloud", ".kube", ".docker"}


@asynccontextmanager
async def copied_project(root: Path, change: Mapping[Path, bytes] | None = None) -> AsyncGenerator[Path]:
    """A temporary copy of the project, deleted at the end.

    Links stay links; links out of the project, sockets and devices are left out. change: new contents of files in the
    copy, by path relative to the root. Raises FileRefused if the project cannot be copied, or is larger than 128 MB or
    20,000 files.
    """
    async with AsyncExitStack() as opened:
        try:
            folder = await opened.enter_async_context(scratch_folder("copy"))
            await anyio.to_thread.run_sync(_copy, root, folder)
            await anyio.to_thread.run_sync(_put, folder, change or {})
        except OSError as error:
            raise FileRefused(_why_not(root, error)) from error
        yield folder


def _why_not(root: Path, error: OSError) -> str:
    said = f"the project {root} could not be copied to run its tests"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{said}: the disk of {tempfile.gettempdir()} is full. Make room there, or set TMPDIR to another folder."
    return (
        f"{said} ({error.filename}: {error.strerror or error}). Try again; if that does not help, make it accessible,"
        " or list it in .gitignore if the tests do not need it."
    )


def _copy(root: Path, destination: Path) -> None:
    """In a worker thread, which ends when its caller is cancelled."""
    paths: list[Path] = []
    copied_bytes = 0
    for path in copied_files(root):
        anyio.from_thread.check_cancelled()
        paths.append(path)
        copied_bytes += path.lstat().st_size
        if len(paths) > FILES_AT_MOST or copied_bytes > BYTES_AT_MOST:
            raise FileRefused(
                f"the project {root} is larger than {BYTES_AT_MOST // 1_000_000} MB or {FILES_AT_MOST:,} files"
                " and cannot be copied to run its tests. List what the tests do not need in .gitignore."
            )
    for path in paths:
        anyio.from_thread.check_cancelled()
        target = destination / path.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target, follow_symlinks=False)


def _put(folder: Path, change: Mapping[Path, bytes]) -> None:
    for relative, data in change.items():
        target = folder / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.parent.resolve().is_relative_to(folder.resolve()):
            raise FileRefused(f"{relative} lies behind a link and cannot be changed in a copy of the project.")
        mode = stat.S_IMODE(target.lstat().st_mode) if target.is_file() else None
        target.unlink(missing_ok=True)
        target.write_bytes(data)
        if mode is None and is_script(data):
            mode = 0o755
        if mode is not None:
            target.chmod(mode)


def copied_files(root: Path) -> Iterator[Path]:
    """The files of a project that its copy contains."""
    return _wanted(root, ignoring_in(root))


def _wanted(folder: Path, ignoring: Ignoring, root: Path | None = None) -> Iterator[Path]:
    """The files below a folder that may be copied: regular files, and links within the project."""
    root = root or folder
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            path = Path(entry.path)
            if entry.is_dir(follow_symlinks=False):
                unwanted = entry.name in _HISTORY | _CACHES | SECRET_FOLDERS
                if not unwanted and not ignoring.ignores(path, is_folder=True) and os.access(path, os.R_OK | os.X_OK):
                    yield from _wanted(path, ignoring.below(path), root)
            elif not is_secret(entry.name) and _is_copyable(path, root):
                if ignoring.ignores(path, is_folder=False) and not _is_built(path):
                    continue
                yield path


def _is_built(path: Path) -> bool:
    """Whether a file is a module that a build made of files of the project: its package cannot be imported without."""
    if path.suffix != ".py" or path.is_symlink():
        return path.suffix in _EXTENSION_MODULES
    with path.open("rb") as file:
        return _SAYS_GENERATED.search(file.read(1000)) is not None


def is_secret(name: str) -> bool:
    """Whether a file's name suggests that it contains secrets."""
    return any(fnmatch(name.lower(), pattern) for pattern in SECRET_FILES)


def _is_copyable(path: Path, root: Path) -> bool:
    if path.is_symlink():
        leads_to = Path(os.path.normpath(path.parent / path.readlink()))
        inward = not path.readlink().is_absolute() and leads_to.is_relative_to(root)
        return inward and not is_secret(leads_to.name)
    return stat.S_ISREG(path.lstat().st_mode) and os.access(path, os.R_OK)
