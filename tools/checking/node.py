"""Finds Node.js on this machine."""

import json
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import anyio

_TIMEOUT_S = 20.0
_INSIDE = "/checker/node/bin/node"
_ASK = "process.stdout.write(JSON.stringify([require('fs').realpathSync(process.execPath), process.versions.node]))"

OLDEST = (20, 6)
"""Required for `node:test` and its reporters."""
STRIPS_TYPES = (22, 18)
"""The first version that runs TypeScript directly (https://nodejs.org/api/typescript.html, seen 2026-11-24)."""

FITS_WASM = "--disable-wasm-trap-handler"
"""Without this flag each WebAssembly memory, including the one behind `fetch`, reserves 10 GB of address space."""

INSTALL = "install Node.js 22.18 or later and put `node` on the PATH of the server"


@dataclass(frozen=True)
class Node:
    executable: Path
    version: tuple[int, int]

    @property
    def shown(self) -> str:
        return f"node {self.version[0]}.{self.version[1]}"

    @property
    def detects_modules(self) -> bool:
        """Whether it detects ES modules by their syntax if no package.json declares them.

        https://nodejs.org/api/packages.html#syntax-detection, seen 2026-11-25.
        """
        return self.version >= (22, 7) or (20, 19) <= self.version < (21, 0)

    @property
    def can_fit_wasm(self) -> bool:
        """Whether it has `--disable-wasm-trap-handler`.

        https://nodejs.org/api/cli.html#--disable-wasm-trap-handler, seen 2026-11-30.
        """
        return self.version >= (22, 2) or (20, 15) <= self.version < (21, 0)

    @property
    def inside(self) -> str:
        """Its path inside the sandbox."""
        return str(self.executable) if self._is_the_systems else _INSIDE

    @property
    def shown_inside(self) -> Mapping[str, Path]:
        """The files that a sandbox must expose: the executable and its bundled library. Empty for the system's
        Node.js."""
        if self._is_the_systems:
            return {}
        libraries = self.executable.parent.parent.glob("lib/libnode*")
        return {_INSIDE: self.executable, **{f"/checker/node/lib/{path.name}": path for path in libraries}}

    @property
    def _is_the_systems(self) -> bool:
        return Path("/usr") in self.executable.parents


_Identity = tuple[Path, int, int]
"""A file without links, with its modification time and size."""

_known: dict[_Identity, Node] = {}
"""By executable. Shims are not kept: next time they may run another one."""


async def find_node() -> Node | None:
    """The `node` on the PATH, with shims resolved. None: there is none that works."""
    found = shutil.which("node")
    return None if found is None else await ask_node(Path(found))


async def ask_node(executable: Path) -> Node | None:
    """The Node.js that an executable runs, as it reports itself when first asked. None: it is not Node.js."""
    try:
        identity = _identity(executable)
        if (known := _known.get(identity)) is not None:
            return known
        with anyio.fail_after(_TIMEOUT_S):
            done = await anyio.run_process([str(executable), "-e", _ASK], stderr=subprocess.DEVNULL, check=False)
        path, version = json.loads(done.stdout)
        major, minor = version.split(".")[:2]
        node = Node(Path(path), (int(major), int(minor)))
    except (OSError, TimeoutError, ValueError, TypeError, AttributeError):
        return None  # it is not Node.js
    if node.executable == identity[0]:
        _known[identity] = node
    return node


def _identity(executable: Path) -> _Identity:
    resolved = executable.resolve()
    facts = resolved.stat()
    return resolved, facts.st_mtime_ns, facts.st_size
