"""`chargehand memory …` on the command line. A command's modules are imported when it runs."""

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio

from .help_text import sentence
from .option_values import real, whole

if TYPE_CHECKING:
    from ..surface.server_state import OpenServices


def add_memory_commands(commands: Any, open_services: "OpenServices") -> None:
    """Add `memory` with its actions. commands: from `add_subparsers`, whose type argparse does not export."""
    memory = commands.add_parser(
        "memory", help="show and manage what is remembered", description="Show and manage what is remembered."
    )
    actions = memory.add_subparsers(title="actions", metavar="ACTION", required=True)

    def add(name: str, run: Callable[..., int], help_text: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = actions.add_parser(name, help=help_text, description=sentence(help_text))
        parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
        parser.set_defaults(run=partial(run, open_services))
        return parser

    add("stats", _stats, "what it holds, and how accurate its predictions were")
    add("rebuild", _rebuild, "compute missing vectors and rebuild the index")
    export = add("export", _export, "write the remembered tasks to a file of JSON lines")
    export.add_argument("file", help="the file, created or replaced, or a pipe; - writes to standard output")
    export.add_argument("--vectors", action="store_true", help="include the vectors; they can be recomputed")
    export.add_argument(
        "--text", choices=("full", "redacted", "hash"), default="full", help="how much of the texts to write (full)"
    )
    take = add("import", _import, "merge an export from another machine, or a data set of outcomes, plain or .gz")
    take.add_argument("files", nargs="+", type=Path, metavar="FILE", help="a file, or - for standard input")
    take.add_argument(
        "--map",
        action="append",
        default=[],
        metavar="NAME=PROFILE_ID",
        help="map a data set's model name to a profile; repeatable",
    )
    take.add_argument("--restore-forgotten", action="store_true", help="also import tasks that were forgotten here")
    prune = add("prune", _prune, "delete the texts of old tasks; model statistics and costs are kept")
    prune.add_argument("--older-than", type=real(0, 1_000_000), metavar="DAYS", help="those begun more than DAYS ago")
    prune.add_argument(
        "--keep",
        type=whole(0, 1_000_000_000),
        metavar="N",
        help="keep the newest N; without --older-than, prune all others",
    )
    forget = add("forget", _forget, "permanently remove everything kept about tasks except their cost")
    what = forget.add_mutually_exclusive_group(required=True)
    what.add_argument("task_ids", nargs="*", default=[], metavar="TASK_ID", help="from a receipt")
    what.add_argument(
        "--project", metavar="FOLDER", help="all tasks of a project, given by its folder or by its key in exports"
    )
    what.add_argument("--all", action="store_true", help="everything")
    for action in (prune, forget):
        action.add_argument("--yes", action="store_true", help="do not ask")


def _stats(open_services: "OpenServices", chosen: argparse.Namespace) -> int:
    from .memory_commands import print_stats

    return anyio.run(partial(print_stats, open_services, as_json=chosen.json))


def _rebuild(open_services: "OpenServices", chosen: argparse.Namespace) -> int:
    from .memory_commands import rebuild_memory

    return anyio.run(partial(rebuild_memory, open_services, as_json=chosen.json))


def _export(open_services: "OpenServices", chosen: argparse.Namespace) -> int:
    from .memory_commands import export_to

    return anyio.run(
        partial(
            export_to,
            open_services,
            chosen.file,
            with_vectors=chosen.vectors,
            text_form=chosen.text,
            as_json=chosen.json,
        )
    )


def _import(open_services: "OpenServices", chosen: argparse.Namespace) -> int:
    from .memory_commands import import_from

    return anyio.run(
        partial(
            import_from,
            open_services,
            chosen.files,
            names=chosen.map,
            restore=chosen.restore_forgotten,
            as_json=chosen.json,
        )
    )


def _prune(open_services: "OpenServices", chosen: argparse.Namespace) -> int:
    from .memory_commands import prune_memory

    return anyio.run(
        partial(
            prune_memory,
            open_services,
            older_than_days=chosen.older_than,
            keep=chosen.keep,
            yes=chosen.yes,
            as_json=chosen.json,
        )
    )


def _forget(open_services: "OpenServices", chosen: argparse.Namespace) -> int:
    from ...tools.guarding.roots import project_key
    from .memory_commands import forget_tasks

    folder = Path(chosen.project).expanduser() if chosen.project else None
    project = project_key(folder) if folder is not None and folder.is_dir() else chosen.project
    return anyio.run(
        partial(
            forget_tasks,
            open_services,
            chosen.task_ids,
            project=project,
            everything=chosen.all,
            yes=chosen.yes,
            as_json=chosen.json,
        )
    )
