"""Stand-ins for packages that setuptools' `package-dir` maps to folders with other names.

Once installed, such a package is importable by its name; in a copy of the project it is not. So a stand-in package
with its name redirects to its folder. The `src` layout needs none, as the checker supports it.
"""

import tomllib
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import cast

_STAND_IN = '''\
"""Stands where the project's build puts this package, whose files are in another folder."""

from pathlib import Path as _Path

_folder = _Path(__file__).resolve().parents[{up}] / {folder!r}
__path__ = [str(_folder)]
__file__ = str(_folder / "__init__.py")
if _Path(__file__).is_file():
    exec(compile(_Path(__file__).read_text(encoding="utf-8"), __file__, "exec"))
'''


def stand_ins(files: Mapping[str, str]) -> Mapping[str, str]:
    """The stand-ins that a project needs, text by path; empty when its folders are named like its packages."""
    made: dict[str, str] = {}
    for package, folder in _package_dir(files.get("pyproject.toml", "")).items():
        place = PurePosixPath(*package.split("."), "__init__.py")
        home = PurePosixPath(folder)
        is_named_otherwise = package and place.parent != home and package.replace(".", "").isidentifier()
        if is_named_otherwise and ".." not in home.parts and not home.is_absolute() and str(place) not in files:
            made[str(place)] = _STAND_IN.format(up=len(place.parts) - 1, folder=str(home))
    return made


def _package_dir(pyproject: str) -> Mapping[str, str]:
    """The folder of each package according to pyproject.toml; empty when it cannot be parsed."""
    found: object
    try:
        found = tomllib.loads(pyproject)
    except tomllib.TOMLDecodeError:
        return {}
    for name in ("tool", "setuptools", "package-dir"):
        found = cast("dict[str, object]", found).get(name) if isinstance(found, dict) else None
    table = cast("dict[str, object]", found) if isinstance(found, dict) else {}
    return {package: folder for package, folder in table.items() if isinstance(folder, str)}
