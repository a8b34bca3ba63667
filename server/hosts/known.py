"""The supported hosts: where each keeps its server entries, and in what format.

Locations and formats follow their documentation (seen 2026-11-23). Claude Code 2.1.332, Copilot CLI 1.0.102, Gemini CLI
0.61.0 and Qwen Code 0.24.4 were tried (2026-11-30), the others were not.
"""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ...tools.errors import BadArgument

SERVER = "chargehand"


@dataclass(frozen=True)
class Host:
    name: str
    """Its name on the command line."""
    title: str
    places: Mapping[str, str]
    """The user's configuration file by `sys.platform`; "linux" is the default. ~ and %APPDATA% are expanded."""
    key: str
    """The member that contains the servers."""
    form: Mapping[str, object] = field(default_factory=dict[str, object])
    """Fields of an entry besides command, args and env."""
    workspace: str | None = None
    """The placeholder that the host replaces with the open project's folder. None: it has none."""
    prompts_for_keys: bool = False
    """Whether it can prompt for secrets and store them itself."""
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    """Variables that a new entry sets."""
    inherits: bool = False
    """Whether a server inherits the environment of the shell that started the host."""

    def file(self) -> Path:
        """The user's file on this system. Raises BadArgument for a user without a home folder."""
        place = self.places.get(sys.platform, self.places["linux"])
        roaming = os.environ.get("APPDATA") or "~/AppData/Roaming"
        try:
            return Path(place.replace("%APPDATA%", roaming)).expanduser()
        except RuntimeError as error:
            raise BadArgument(
                f"{self.name}: this user has no home folder to look for its file in. Name the file with --config."
            ) from error


_APPLICATIONS = "~/Library/Application Support"
_TEXT_ALONE = {"CHARGEHAND_RESULTS": "text"}
"""For hosts that show their model the structure of a result."""

HOSTS: Mapping[str, Host] = {
    host.name: host
    for host in (
        Host(
            "claude-desktop",
            "Claude Desktop",
            {
                "darwin": f"{_APPLICATIONS}/Claude/claude_desktop_config.json",
                "win32": "%APPDATA%/Claude/claude_desktop_config.json",
                "linux": "~/.config/Claude/claude_desktop_config.json",
            },
            "mcpServers",
        ),
        Host(
            "claude-code",
            "Claude Code",
            {"linux": "~/.claude.json"},
            "mcpServers",
            form={"type": "stdio", "timeout": 600_000},
            environment=_TEXT_ALONE,
            inherits=True,
        ),
        Host(
            "copilot",
            "Copilot CLI",
            {"linux": "~/.copilot/mcp-config.json"},
            "mcpServers",
            form={"type": "local", "tools": ["*"]},
            environment=_TEXT_ALONE,
        ),
        Host("cursor", "Cursor", {"linux": "~/.cursor/mcp.json"}, "mcpServers", workspace="${workspaceFolder}"),
        Host("gemini", "Gemini CLI", {"linux": "~/.gemini/settings.json"}, "mcpServers"),
        Host("qwen", "Qwen Code", {"linux": "~/.qwen/settings.json"}, "mcpServers", environment=_TEXT_ALONE),
        Host(
            "vscode",
            "VS Code",
            {
                "darwin": f"{_APPLICATIONS}/Code/User/mcp.json",
                "win32": "%APPDATA%/Code/User/mcp.json",
                "linux": "~/.config/Code/User/mcp.json",
            },
            "servers",
            form={"type": "stdio"},
            workspace="${workspaceFolder}",
            prompts_for_keys=True,
        ),
        Host(
            "zed",
            "Zed",
            {"win32": "%APPDATA%/Zed/settings.json", "linux": "~/.config/zed/settings.json"},
            "context_servers",
        ),
    )
}
