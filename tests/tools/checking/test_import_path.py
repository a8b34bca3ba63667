"""The path by which tests import the answer's file."""

from pathlib import Path

import pytest

from chargehand.tools.checking.import_path import ImportPath, import_path

ONE = ("members/one", ".")
ONE_AND_ROOT = ("members/one/src", *ONE)


@pytest.mark.parametrize(
    ("file", "packages", "expected"),
    [
        ("mod.py", [], ImportPath("mod", (".",))),
        ("pkg/mod.py", ["pkg"], ImportPath("pkg.mod", (".",))),
        ("pkg/__init__.py", ["pkg"], ImportPath("pkg", (".",))),
        ("src/pkg/mod.py", ["src/pkg"], ImportPath("pkg.mod", ("src", "."))),
        ("src/pkg/mod.py", ["src", "src/pkg"], ImportPath("src.pkg.mod", (".",))),
        ("members/one/lib/pkg/mod.py", ["members/one/lib/pkg"], ImportPath("pkg.mod", ("members/one/lib", *ONE))),
        ("members/one/util/pkg/mod.py", ["members/one/util/pkg"], ImportPath("util.pkg.mod", ONE)),
        ("scripts/tool.py", [], ImportPath("scripts.tool", (".", "scripts"))),
        ("my-scripts/tool.py", [], ImportPath("tool", (".", "my-scripts"))),
        ("my-scripts/my-tool.py", [], None),
        ("members/one/src/pkg/mod.py", ["members/one/src/pkg"], ImportPath("pkg.mod", ONE_AND_ROOT)),
        ("members/two/pkg/mod.py", ["members/two/pkg"], ImportPath("pkg.mod", ("members/two", "."))),
        ("members/pkg/mod.py", ["members", "members/pkg"], ImportPath("members.pkg.mod", (".",))),
        ("pkg/data.json", ["pkg"], None),
    ],
)
def test_the_import_path_of_a_file_follows_from_its_packages(
    tmp_path: Path, file: str, packages: list[str], expected: ImportPath | None
):
    for package in packages:
        (tmp_path / package).mkdir(parents=True, exist_ok=True)
        (tmp_path / package / "__init__.py").touch()
    for member in ("members/one", "members/two", "members/pkg"):
        (tmp_path / member).mkdir(parents=True, exist_ok=True)
        (tmp_path / member / "pyproject.toml").write_text('[tool.setuptools]\npackage-dir = { "" = "lib" }\n')

    assert import_path(Path(file), tmp_path) == expected
