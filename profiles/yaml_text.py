"""Safe YAML parsing, fast where PyYAML was built with libyaml."""

from typing import Any, cast

import yaml


class _UniqueKeys(yaml.constructor.SafeConstructor):
    """Rejects a mapping with the same key twice, of which PyYAML would silently use the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"{key.value!r:.80} occurs twice", key.start_mark
                    )
                seen.add(key.value)
        return super().construct_mapping(node, deep)


# libyaml's loader gives the same result in a tenth of the time.
_Loader = cast(type[yaml.SafeLoader], type("_Loader", (_UniqueKeys, getattr(yaml, "CSafeLoader", yaml.SafeLoader)), {}))

_MISREAD = (ValueError, KeyError, AttributeError)
"""What PyYAML lets out of a value that looks like a day or a number, and is none: `2026-02-30`."""


def parse_yaml(text: str) -> Any:
    """The parsed text, of any type (hence Any). Raises yaml.YAMLError."""
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - both are safe loaders
    except _MISREAD:
        return yaml.load(text, Loader=_TellingLoader)  # noqa: S506 - a safe loader, which says where it is


class _TellingLoader(_UniqueKeys, yaml.SafeLoader):
    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)  # pyright: ignore[reportUnknownMemberType] - it has no types
        except _MISREAD as error:
            kind = node.tag.rpartition(":")[2]
            raise yaml.constructor.ConstructorError(None, None, f"no {kind}: {error}", node.start_mark) from error
