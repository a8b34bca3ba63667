"""The `chargehand` command: without an argument it serves MCP over stdio."""

import argparse
import contextlib
import logging
import sys
from collections.abc import AsyncGenerator, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio

from .bench_arguments import add_bench_commands
from .memory_arguments import add_memory_commands

if TYPE_CHECKING:
    from ..tools.workshop import Workshop

Run = Callable[[argparse.Namespace], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; gives its exit code."""
    # Before any library does: under stdio, standard output belongs to the protocol.
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    chosen = _parser().parse_args(arguments)
    run: Run = chosen.run
    return run(chosen)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="chargehand",
        description="Hands each coding task to the cheapest model that verifiably gets it right."
        " Without a command it serves MCP over stdio, for an agent host.",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version")
    parser.set_defaults(run=_serve)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    _add(commands, "demo", _demo, "see it work: a real client drives the real server")
    doctor = _add(commands, "doctor", _doctor, "what is reachable, installed, missing, and how to get it")
    route = _add(commands, "route", _route, "which model would do a task, and why")
    route.add_argument("task", help="the task's text; - reads it from standard input")
    usage = _add(commands, "usage", _usage, "what was spent, saved and lost")
    usage.add_argument("--days", type=float, default=None, help="only the last DAYS days")
    profiles = _add(commands, "profiles", _profiles, "the models that Chargehand knows")
    profiles.add_argument("action", nargs="?", choices=("list", "show"), default="list")
    profiles.add_argument("model", nargs="?", help="for `show`: a profile id")
    for command in (doctor, route, usage, profiles):
        command.add_argument("--json", action="store_true", help="print JSON instead of a table")
    add_memory_commands(commands, own_workshop)
    add_bench_commands(commands)
    return parser


def _add(commands: Any, name: str, run: Run, help_text: str) -> argparse.ArgumentParser:
    # argparse does not export the type of `commands`, hence Any.
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=help_text, description=help_text.capitalize() + "."
    )
    parser.set_defaults(run=run)
    return parser


class _Version(argparse.Action):
    """`--version` without the cost of looking the version up on every start."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        import importlib.metadata

        sys.stdout.write(f"chargehand {importlib.metadata.version('chargehand')}\n")
        parser.exit()


# Each command imports what it needs when it runs, and nothing before: serving must start at once.


def _serve(_: argparse.Namespace) -> int:
    from .stdio import serve_stdio

    anyio.run(serve_stdio, own_workshop)
    return 0


def _demo(_: argparse.Namespace) -> int:
    from .demo import demo

    return anyio.run(demo)


def _doctor(chosen: argparse.Namespace) -> int:
    from .doctor import doctor

    return anyio.run(partial(doctor, as_json=chosen.json))


def _route(chosen: argparse.Namespace) -> int:
    from .reports import print_route

    task = sys.stdin.read() if chosen.task == "-" else chosen.task
    return anyio.run(partial(print_route, own_workshop, task, as_json=chosen.json))


def _usage(chosen: argparse.Namespace) -> int:
    from .reports import print_usage

    return anyio.run(partial(print_usage, own_workshop, days=chosen.days, as_json=chosen.json))


def _profiles(chosen: argparse.Namespace) -> int:
    from .reports import print_profile, print_profiles

    if chosen.action == "show":
        return anyio.run(partial(print_profile, own_workshop, chosen.model, as_json=chosen.json))
    return anyio.run(partial(print_profiles, own_workshop, as_json=chosen.json))


@contextlib.asynccontextmanager
async def own_workshop() -> AsyncGenerator["Workshop"]:
    """The workshop of this process's settings. Raises BadSetting, InvalidProfile or LedgerUnusable."""
    from .settings import load_settings
    from .wiring import open_workshop

    async with open_workshop(load_settings(), Path.cwd()) as shop:
        yield shop
