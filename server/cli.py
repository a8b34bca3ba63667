"""The `chargehand` command: without an argument it serves MCP over stdio."""

import argparse
import contextlib
import logging
import os
import sys
from collections.abc import AsyncGenerator, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio

from ..profiles.vocabulary import TASK_TYPES
from ..tools.vocabulary import MAX_SECONDS, MAX_USD
from .command.bench_arguments import add_bench_commands
from .command.evaluate_arguments import add_evaluate_command
from .command.help_text import sentence
from .command.hosts_arguments import add_host_commands
from .command.http_arguments import add_http_arguments, refuse_conflicts, serve_over_http
from .command.memory_arguments import add_memory_commands
from .command.option_values import real
from .command.profiles_arguments import add_profile_commands
from .command.resilient_output import ResilientOutput
from .command.user_errors import WrongOptions, exit_code_of
from .hosts.known import HOSTS

if TYPE_CHECKING:
    from ..tools.services import Services

Run = Callable[[argparse.Namespace], int]

INTERRUPTED = 130
"""The exit code of a command that Ctrl-C ended, as shells use it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns its exit code."""
    # Configured before any library logs: under stdio, standard output belongs to the protocol.
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    # Computations are small, so that several BLAS threads would only wait for each other.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    output = ResilientOutput(sys.stdout)
    with contextlib.redirect_stdout(output):
        try:
            code = _run(arguments)
        except SystemExit:
            output.flush()
            if output.why_failed is None:
                raise
            code = 1
        except KeyboardInterrupt:  # Ctrl-C in a command that has nothing to settle
            code = INTERRUPTED
        output.flush()
    if output.why_failed is None:
        return code
    from .command.reports import print_errors

    return print_errors([f"standard output: {output.why_failed}.{output.remedy}"])


def _run(arguments: Sequence[str] | None) -> int:
    parser, given = _parser(), sys.argv[1:] if arguments is None else arguments
    for word in given:
        try:
            word.encode()
        except UnicodeEncodeError:
            parser.error(f"{word!a:.80} is not UTF-8 text. Type it, or name the file, in UTF-8.")
    chosen = parser.parse_args(given)
    return exit_code_of(partial(chosen.run, chosen))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="chargehand",
        description="Hands each coding task to the cheapest model that verifiably gets it right."
        " Without a command it serves MCP over stdio, for an agent host.",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version")
    parser.set_defaults(run=_serve_stdio)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    serve = _add(commands, "serve", _serve, "serve MCP over stdio, or over HTTP")
    add_http_arguments(serve)
    _add(commands, "demo", _demo, "see it work: a real client drives the real server")
    doctor = _add(commands, "doctor", _doctor, "what is reachable, installed, missing, and how to get it")
    doctor.add_argument(
        "--host", choices=tuple(HOSTS), metavar="HOST", help="check the environment that HOST would give"
    )
    doctor.add_argument(
        "--config", type=Path, metavar="FILE", help="that host's config file, if not in the usual place"
    )
    route = _add(commands, "route", _route, "which model would do a task, and why")
    route.add_argument("task", help="the task's text; - reads it from standard input")
    delegate = _add(commands, "delegate", _delegate, "delegate a task: code goes to standard output, or into files")
    _add_delegate_arguments(delegate)
    undo = _add(commands, "undo", _undo, "undo what a task wrote into files")
    undo.add_argument("task_ids", nargs="+", metavar="TASK_ID", help="from a receipt that lists files_changed")
    usage = _add(commands, "usage", _usage, "what was spent, saved and lost")
    usage.add_argument("--days", type=real(0, 100_000), default=None, help="only the last DAYS days")
    doctor.add_argument("--try", dest="tries", action="store_true", help="try small tasks on this machine's models")
    doctor.add_argument("--models", nargs="+", metavar="MODEL", help="for --try: only these")
    doctor.add_argument("--minutes", type=real(0.1, 600), metavar="M", help="for --try: minutes of asking in total (5)")
    instructions = _add(
        commands, "instructions", _instructions, "tell a host's model when delegating pays, and when it does not"
    )
    instructions.add_argument(
        "--for", dest="form", choices=("claude-code", "cursor", "agents-md"), help="in that host's format"
    )
    instructions.add_argument("--install", metavar="FOLDER", type=Path, help="write it into the project in FOLDER")
    for command in (doctor, route, delegate, undo, usage):
        command.add_argument("--json", action="store_true", help="print JSON instead of a table")
    add_profile_commands(commands, own_services)
    add_memory_commands(commands, own_services)
    add_host_commands(commands)
    add_evaluate_command(commands, own_services)
    add_bench_commands(commands)
    return parser


def _add_delegate_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "Exit code 0: its tests and checks passed. 3: no check, or not every check, was executed. 1: anything else."
    )
    parser.add_argument("task", help="the task's text; - reads it from standard input")
    parser.add_argument("--tests", metavar="FILE|TEXT", help="Python or JavaScript that must pass")
    parser.add_argument(
        "--checks",
        metavar="NAME",
        nargs="+",
        action="extend",
        default=[],
        help="your own checks, [checks.NAME] in config.toml",
    )
    parser.add_argument(
        "--context", metavar="FILE", nargs="+", action="extend", default=[], help="files that the model should see"
    )
    parser.add_argument("--target", metavar="FILE", help="the file the result goes into, new or existing")
    parser.add_argument("--apply", action="store_true", help="write the result into the files instead of printing it")
    parser.add_argument("--model", help="a profile id, role or line (haiku, sonnet, opus); never replaced")
    parser.add_argument("--task-type", choices=TASK_TYPES, metavar="TYPE", help=", ".join(TASK_TYPES))
    parser.add_argument("--local-only", action="store_true", help="nothing may leave this machine")
    parser.add_argument("--max-cost-usd", type=real(0, MAX_USD), metavar="USD", help="for all attempts")
    seconds = real(1, MAX_SECONDS)
    parser.add_argument("--max-seconds", type=seconds, metavar="S", help="for all attempts, 1 to 3600 (300)")


def _add(commands: Any, name: str, run: Run, help_text: str) -> argparse.ArgumentParser:
    # argparse does not export the type of `commands`, hence Any.
    parser: argparse.ArgumentParser = commands.add_parser(name, help=help_text, description=sentence(help_text))
    parser.set_defaults(run=run)
    return parser


class _Version(argparse.Action):
    """`--version`, which looks the version up only when asked."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        import importlib.metadata

        sys.stdout.write(f"chargehand {importlib.metadata.version('chargehand')}\n")
        parser.exit()


# Each command imports its modules when it runs, so that serving starts fast.


def _serve(chosen: argparse.Namespace) -> int:
    refuse_conflicts(chosen)
    return serve_over_http(own_services, chosen) if chosen.http else _serve_stdio(chosen)


def _serve_stdio(_: argparse.Namespace) -> int:
    from .stdio import serve_stdio

    with contextlib.redirect_stdout(sys.__stdout__):  # the protocol's own, whole
        anyio.run(serve_stdio, own_services)
    return 0


def _demo(_: argparse.Namespace) -> int:
    from .command.demo import demo

    return anyio.run(demo)


def _doctor(chosen: argparse.Namespace) -> int:
    from .command.doctor import doctor, doctor_of_host

    if chosen.tries and chosen.host is not None:
        raise WrongOptions("doctor: --try cannot go with --host: it asks the models of this shell's environment.")
    if chosen.config is not None and chosen.host is None:
        raise WrongOptions("doctor: --config goes with --host, which says whose file it is.")
    if chosen.tries:
        return _try_models(chosen)
    if chosen.models or chosen.minutes:
        raise WrongOptions("doctor: --models and --minutes go with --try.")
    if chosen.host is not None:
        return anyio.run(partial(doctor_of_host, HOSTS[chosen.host], chosen.config, as_json=chosen.json))
    return anyio.run(partial(doctor, as_json=chosen.json))


def _try_models(chosen: argparse.Namespace) -> int:
    from .command.trying import DEFAULT_MINUTES, try_from_shell

    minutes = chosen.minutes or DEFAULT_MINUTES
    return anyio.run(
        partial(try_from_shell, own_services, models=chosen.models or (), minutes=minutes, as_json=chosen.json)
    )


def _route(chosen: argparse.Namespace) -> int:
    from .command.reports import print_route
    from .command.shell_input import task_text

    return anyio.run(partial(print_route, preloaded_services, task_text(chosen.task), as_json=chosen.json))


def _delegate(chosen: argparse.Namespace) -> int:
    from ..tools.vocabulary import DEFAULT_MAX_SECONDS
    from .command.delegating import DelegateArguments, delegate_from_shell
    from .command.shell_input import task_text

    arguments = DelegateArguments(
        task=task_text(chosen.task),
        tests=chosen.tests,
        checks=chosen.checks,
        context_files=[str(Path(file).absolute()) for file in chosen.context],
        output="apply" if chosen.apply else "inline",
        target=None if chosen.target is None else str(Path(chosen.target).absolute()),
        model=chosen.model,
        task_type=chosen.task_type,
        local_only=chosen.local_only,
        max_cost_usd=chosen.max_cost_usd,
        max_seconds=chosen.max_seconds or DEFAULT_MAX_SECONDS,
    )
    try:
        return anyio.run(partial(delegate_from_shell, preloaded_services, arguments, as_json=chosen.json))
    except KeyboardInterrupt:  # on Windows, where signals are not handled; costs are settled by now
        return 1


def _undo(chosen: argparse.Namespace) -> int:
    from .command.undoing import undo_from_shell

    return anyio.run(partial(undo_from_shell, own_services, chosen.task_ids, as_json=chosen.json))


def _usage(chosen: argparse.Namespace) -> int:
    from .command.reports import print_usage

    return anyio.run(partial(print_usage, own_services, days=chosen.days, as_json=chosen.json))


def _instructions(chosen: argparse.Namespace) -> int:
    from .command.reports import print_instructions

    return anyio.run(partial(print_instructions, own_services, chosen.form, chosen.install))


@contextlib.asynccontextmanager
async def own_services() -> AsyncGenerator["Services"]:
    """The services for this process's settings. Raises BadSetting, InvalidProfile or LedgerUnusable."""
    from .settings import load_settings
    from .wiring import open_services

    async with open_services(load_settings(), Path.cwd()) as services:
        yield services


@contextlib.asynccontextmanager
async def preloaded_services() -> AsyncGenerator["Services"]:
    """The same with the memory loaded first, for a single decision from the shell."""
    async with own_services() as services:
        await services.memory.load()
        yield services
