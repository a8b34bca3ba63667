"""The schemas that hosts see: short, strict, and without pydantic's additions."""

from chargehand.server.surface.schema import published
from chargehand.server.surface.toolbox import tools


def test_a_published_schema_has_no_null_no_title_no_empty_default_and_no_reference():
    schema = {
        "title": "Arguments",
        "type": "object",
        "properties": {
            "title": {"title": "Title", "type": "string", "default": ""},
            "default": {"anyOf": [{"type": "string", "title": "x"}, {"type": "null"}], "default": None, "title": "D"},
            "either": {"anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "null"}], "default": 3},
            "nested": {"items": {"anyOf": [{"$ref": "#/$defs/title"}, {"type": "null"}]}, "type": "array"},
        },
        "$defs": {
            "title": {"title": "T", "properties": {"title": {"$ref": "#/$defs/inner"}}},
            "inner": {"title": "X", "type": "string"},
        },
        "required": ["title", "default"],
    }

    assert published(schema, closed=True) == {
        "type": "object",
        "properties": {
            "title": {"type": "string"},
            "default": {"type": "string"},
            "either": {"anyOf": [{"type": "string"}, {"type": "integer"}], "default": 3},
            "nested": {"items": {"properties": {"title": {"type": "string"}}}, "type": "array"},
        },
        "required": ["title", "default"],
        "additionalProperties": False,
    }
    assert "additionalProperties" not in published(schema, closed=False)


def test_every_tool_publishes_a_closed_schema_without_null_title_and_references():
    for tool in tools():
        assert tool.parameters["additionalProperties"] is False
        for schema in (tool.parameters, tool.fn_metadata.output_schema):
            assert not any(key in ("title", "null", "$ref", "$defs") for key in _keywords(schema))


def _keywords(schema: object) -> list[object]:
    """Every keyword and every type of a schema, without the names of its properties."""
    if isinstance(schema, list):
        return [keyword for item in schema for keyword in _keywords(item)]
    if not isinstance(schema, dict):
        return []
    found = [*schema, schema.get("type")]
    for key, value in schema.items():
        found += _keywords(list(value.values()) if key == "properties" else value)
    return found
