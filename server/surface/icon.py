"""The icon for the server, its prompts and its resources: an orange hard hat.

Tools have no icon: some hosts pass the tool list to the model unchanged, and five copies would add 1,560 characters.
"""

from mcp.types import Icon

ICON = Icon(
    src="data:image/svg+xml;base64,PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciIHZpZXdCb3g9IjAgMCA0OCA0OCI+"
    "PHBhdGggZD0iTTggMzBhMTYgMTYgMCAwIDEgMzIgMHoiIGZpbGw9IiNmMmI2MWIiLz48cGF0aCBkPSJNNCAzMGg0MHY1SDR6TTIxIDEwaDZ2MTRo"
    "LTZ6IiBmaWxsPSIjM2I0MjUyIi8+PC9zdmc+",
    mime_type="image/svg+xml",
    sizes=["any"],
)
