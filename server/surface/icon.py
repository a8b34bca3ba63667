"""The icon for the server and its prompts: an orange hard hat.

Tools and resources have none: hosts pass their lists to the model unchanged (Claude Code 2.1 that of the resources,
seen 2026-11-30), and each copy would add 312 characters.
"""

from mcp.types import Icon

ICON = Icon(
    src="data:image/svg+xml;base64,PHN2ZyB4bWxucz0iaHR0cDovL3d3dy53My5vcmcvMjAwMC9zdmciIHZpZXdCb3g9IjAgMCA0OCA0OCI+"
    "PHBhdGggZD0iTTggMzBhMTYgMTYgMCAwIDEgMzIgMHoiIGZpbGw9IiNmMmI2MWIiLz48cGF0aCBkPSJNNCAzMGg0MHY1SDR6TTIxIDEwaDZ2MTRo"
    "LTZ6IiBmaWxsPSIjM2I0MjUyIi8+PC9zdmc+",
    mime_type="image/svg+xml",
    sizes=["any"],
)
