"""The formats of hosts' configuration files: how a value in one is read and changed."""

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast


class Editor(Protocol):
    """A module that edits texts of one format. Values may have any shape, hence Any."""

    def content(self, text: str, /) -> Any:
        """The root value. Raises Malformed."""
        ...

    def with_member(self, text: str, path: Sequence[str], value: Any, /) -> str:
        """The text with one value set and the rest unchanged. Raises Malformed, or TypeError if it has no place."""
        ...

    def without_member(self, text: str, path: Sequence[str], /) -> str:
        """The text without one value. Raises Malformed, or TypeError if it cannot be cut out."""
        ...


@dataclass(frozen=True)
class Format:
    name: str
    empty: str
    """The text of a file without content."""
    module: str

    @property
    def editor(self) -> Editor:
        """Imported on first use: a server that starts needs none."""
        return cast(Editor, importlib.import_module(self.module, __package__))


JSON = Format("JSON", "{}\n", ".jsonc")
TOML = Format("TOML", "", ".toml_text")
YAML = Format("YAML", "", ".yaml_text")
