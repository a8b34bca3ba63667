"""`chargehand demo`: a real MCP client drives the real server over stdio, with a temporary data folder."""

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncGenerator, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, cast

import anyio.to_thread
from mcp import Client, StdioServerParameters
from mcp.types import CallToolResult, TextContent
from rich.console import Console
from rich.markup import escape
from rich.syntax import Syntax
from rich.table import Column, Table

from ...evaluation.peers.vendors import vendors
from ...memory_store.ledger import Ledger
from ...memory_store.usage import report_usage
from ...profiles.model import ModelProfile
from ...profiles.price import in_dollars
from ...tools.errors import BadArgument
from ...tools.provider import Availability
from ...tools.services import Services
from ..app import version
from ..data_folder import PROFILES_FOLDER
from ..settings import CONFIG_FILE, PREFIX, Settings, load_settings
from ..wiring import open_services, utc_now
from .rehearsal import TASK, TESTS, recorded_answer
from .reports import show_usage

# Variables that the server process inherits, besides those set for it.
_INHERITED = ("PATH", "HOME", "LANG", "TMPDIR", "SYSTEMROOT", "USERPROFILE", "LOCALAPPDATA")


async def demo() -> int:
    """Show routing, generation, checks, escalation and recording. Returns the exit code."""
    console = Console()
    with tempfile.TemporaryDirectory(prefix="chargehand-demo-") as folder:
        home = Path(folder)
        async with _available_models(home, console) as environment:
            succeeded = await _drive(home, environment, console)
        ledger = await Ledger.open(home, utc_now)
        try:
            console.rule("5. The books")
            show_usage(await report_usage(ledger), console)
        finally:
            await ledger.aclose()
    console.print(
        "\nThat was one delegation, start to finish. Next: `chargehand doctor` says what you have and what is missing;"
        " README.md has the JSON for your host."
    )
    return 0 if succeeded else 1


@contextlib.asynccontextmanager
async def _available_models(home: Path, console: Console) -> AsyncGenerator[Mapping[str, str]]:
    """The environment for a server with available models: the user's own, or recorded ones on local peers.

    home: the server's data folder, which gets a copy of the user's own profiles.
    """
    settings = load_settings()
    own_profiles = settings.home / PROFILES_FOLDER
    try:
        if own_profiles.is_dir():
            await anyio.to_thread.run_sync(
                partial(shutil.copytree, own_profiles, home / PROFILES_FOLDER, ignore_dangling_symlinks=True)
            )
    except OSError as error:
        why: str = error.args[0][0][-1] if isinstance(error, shutil.Error) else str(error)  # its list of files
        raise BadArgument(
            f"demo: {own_profiles} cannot be copied ({why}). Make all of it readable for you, or move it away."
        ) from error
    async with open_services(settings.model_copy(update={"home": home}), Path.cwd()) as services:
        availability = (await services.survey()).availability
        with_role = [p for p in services.catalogue if services.catalogue.roles_of(p, services.today)]
        usable = [p.id for p in with_role if _may_be_asked(services, p, availability[p.id])]
    if usable:
        console.print(
            f"[bold]This demo asks your own models:[/] {', '.join(sorted(usable))}. It may cost a few cents at most."
        )
        yield _own_environment(settings, services.catalogue)
        return
    console.print(
        "[bold]This is a rehearsal:[/] none of your models is available (`chargehand doctor` says why), so recorded"
        " answers come from a peer on 127.0.0.1 over real HTTP. Routing, sandbox, escalation and books are real; only"
        " the models are not."
    )
    async with vendors(recorded_answer) as peers:
        yield peers.environment


def _may_be_asked(services: Services, profile: ModelProfile, there: Availability) -> bool:
    if profile.price is not None and services.rules.daily_budget_usd == 0:
        return False
    return services.can_be_asked(profile, there, local_only=services.rules.local_only)


def _own_environment(settings: Settings, profiles: Iterable[ModelProfile]) -> Mapping[str, str]:
    """The user's keys, limits and privacy settings, without the data folder."""
    prefixes = ("ANTHROPIC_", "CEREBRAS_", "OLLAMA_", PREFIX)
    keys = {name for profile in profiles for name in profile.variables}
    own = {name: value for name, value in os.environ.items() if name.startswith(prefixes) or name in keys}
    file = settings.config or settings.home / CONFIG_FILE
    return own | ({"CHARGEHAND_CONFIG": str(file.absolute())} if file.exists() else {})


async def _drive(home: Path, environment: Mapping[str, str], console: Console) -> bool:
    """Call the tools as a host would. Returns whether the delegation succeeded."""
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    server = StdioServerParameters(
        command=sys.executable,
        args=["-m", "chargehand.server"],
        env={**inherited, **environment, "CHARGEHAND_HOME": str(home)},
        cwd=home,
    )
    async with Client(server) as client:
        listed = await client.list_tools()
        console.print(
            f"\nConnected to chargehand {version()} over stdio"
            f" (protocol {client.protocol_version}): {', '.join(tool.name for tool in listed.tools)}.\n"
        )
        console.rule("1. Route")
        console.print(f"[bold]Task:[/] {escape(TASK)}")
        _show(await client.call_tool("route_task", {"task": TASK}), console)

        console.rule("2. Delegate, with tests that must pass")
        console.print(Syntax(TESTS, "python", background_color="default"))

        async def progressed(progress: float, total: float | None, message: str | None) -> None:  # noqa: ARG001 - the SDK's signature
            console.print(f"  [dim]{escape(message or '')}[/]")

        result = await client.call_tool(
            "delegate_generation", {"task": TASK, "tests": TESTS}, progress_callback=progressed
        )
        receipt = _facts(result)
        _show_attempts(receipt, console)
        _show(result, console)

        console.rule("3. Validate what came back")
        _show(await client.call_tool("validate_code", {"task_id": receipt["task_id"], "tests": TESTS}), console)

        console.rule("4. Report the outcome")
        report = {"task_id": receipt["task_id"], "outcome": "accepted"}
        _show(await client.call_tool("report_outcome", report), console)
    return receipt["status"] == "succeeded"


def _facts(result: CallToolResult) -> dict[str, Any]:
    """The structured result (JSON, hence Any)."""
    return cast(dict[str, Any], result.structured_content or {})


def _show(result: CallToolResult, console: Console) -> None:
    for block in result.content:
        if isinstance(block, TextContent):
            console.print(block.text, markup=False, highlight=False)
    console.print()


def _show_attempts(receipt: Mapping[str, Any], console: Console) -> None:
    table = Table(
        "#", Column("model", no_wrap=True), Column("outcome", no_wrap=True), "cost", "seconds", title="Attempts"
    )
    for number, attempt in enumerate(receipt.get("attempts", ()), start=1):
        cost, seconds = in_dollars(attempt["cost_usd"]), str(attempt["seconds"])
        table.add_row(str(number), attempt["model"], attempt["outcome"], cost, seconds)
    console.print(table)
    checks: list[Mapping[str, Any]] = [check for attempt in receipt.get("attempts", ()) for check in attempt["checks"]]
    if first := next((check["first_failure"] for check in checks if "first_failure" in check), None):
        console.print("What the first failed check said:", highlight=False)
        console.print(first, style="dim", markup=False, highlight=False)
        console.print()
