"""The supported hosts: where each keeps its server entries, and in what format.

Locations and formats follow their documentation (seen 2026-11-30), those of Amp and Droid what their own `mcp add`
writes. Claude Code 2.1.332, Cline CLI 3.0.65, Codex 0.171.0, Copilot CLI 1.0.102, Gemini CLI 0.61.0, opencode 1.18.33,
Qwen Code 0.24.4 (2026-11-30), Kilo Code CLI 7.7.7, Kimi Code 2.1.0 and VS Code 1.139.1 (2026-12-01) were tried, the
others were not.
"""

from collections.abc import Mapping

from .formats import TOML, YAML
from .host import KEYS, SERVER, Fields, Host

_APPLICATIONS = "~/Library/Application Support"
_TEXT_ALONE = {"CHARGEHAND_RESULTS": "text"}
"""For hosts that show their model the structure of a result."""
_TOOL_TIMEOUT_S = 660
"""A minute more than the longest `wait_s`."""

HOSTS: Mapping[str, Host] = {
    host.name: host
    for host in (
        Host(
            "amp",
            "Amp",
            {"linux": "~/.config/amp/settings.json"},
            "amp.mcpServers",
            folder="~/.local/share/amp",
        ),
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
            form={"type": "stdio", "timeout": _TOOL_TIMEOUT_S * 1_000},
            environment=_TEXT_ALONE,
            inherits=True,
        ),
        Host(
            "cline",
            "Cline CLI",
            {"linux": "%CLINE_DIR%/data/settings/cline_mcp_settings.json"},
            "mcpServers",
            form={"timeout": _TOOL_TIMEOUT_S},
            environment=_TEXT_ALONE,
            inherits=True,
        ),
        Host(
            "codex",
            "Codex",
            {"linux": "%CODEX_HOME%/config.toml"},
            "mcp_servers",
            format=TOML,
            fields=Fields(forwarded="env_vars"),
            form={"env_vars": [*KEYS], "tool_timeout_sec": _TOOL_TIMEOUT_S},
            environment=_TEXT_ALONE,
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
        Host("droid", "Droid", {"linux": "~/.factory/mcp.json"}, "mcpServers", form={"type": "stdio"}, inherits=True),
        Host("gemini", "Gemini CLI", {"linux": "~/.gemini/settings.json"}, "mcpServers"),
        Host(
            "goose",
            "Goose",
            {"win32": "%APPDATA%/Block/goose/config/config.yaml", "linux": "%XDG_CONFIG_HOME%/goose/config.yaml"},
            "extensions",
            format=YAML,
            fields=Fields(command="cmd", environment="envs"),
            form={"type": "stdio", "name": SERVER, "enabled": True, "timeout": _TOOL_TIMEOUT_S},
        ),
        Host(
            "kilo",
            "Kilo Code CLI",
            {"linux": "%XDG_CONFIG_HOME%/kilo/kilo.jsonc"},
            "mcp",
            fields=Fields(arguments=None, environment="environment"),
            form={"type": "local", "timeout": _TOOL_TIMEOUT_S * 1_000},
            other_names=("kilo.json", "opencode.jsonc", "opencode.json", "config.json"),
            inherits=True,
        ),
        Host(
            "kimi",
            "Kimi Code",
            {"linux": "%KIMI_CODE_HOME%/mcp.json"},
            "mcpServers",
            form={"toolTimeoutMs": _TOOL_TIMEOUT_S * 1_000},
            environment=_TEXT_ALONE,
            inherits=True,
        ),
        Host("kiro", "Kiro", {"linux": "~/.kiro/settings/mcp.json"}, "mcpServers", folder="~/.kiro"),
        Host(
            "opencode",
            "opencode",
            {"linux": "%XDG_CONFIG_HOME%/opencode/opencode.jsonc"},
            "mcp",
            fields=Fields(arguments=None, environment="environment"),
            form={"type": "local", "timeout": _TOOL_TIMEOUT_S * 1_000},
            other_names=("opencode.json", "config.json"),
            inherits=True,
        ),
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
            project_folder=".vscode",
            prompts_for_keys=True,
            environment=_TEXT_ALONE,
        ),
        Host("windsurf", "Windsurf", {"linux": "~/.codeium/windsurf/mcp_config.json"}, "mcpServers"),
        Host(
            "zed",
            "Zed",
            {"win32": "%APPDATA%/Zed/settings.json", "linux": "~/.config/zed/settings.json"},
            "context_servers",
        ),
    )
}
