"""`chargehand profiles …` on the command line. A command's modules are imported when it runs."""

import argparse
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio

from .help_text import sentence
from .option_values import day, usd
from .profile_sources import SOURCES
from .user_errors import WrongOptions

if TYPE_CHECKING:
    from ..surface.server_state import OpenServices


def add_profile_commands(commands: Any, open_services: "OpenServices") -> None:
    """Add `profiles` with its actions. commands: from `add_subparsers`, whose type argparse does not export."""
    profiles = commands.add_parser(
        "profiles", help="the models that Chargehand knows", description="The models that Chargehand knows."
    )
    profiles.add_argument("--json", action="store_true", help="print JSON instead of a table")
    profiles.set_defaults(run=partial(_list, open_services))
    actions = profiles.add_subparsers(title="actions", metavar="ACTION")

    def add(name: str, run: Callable[..., int], help_text: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = actions.add_parser(name, help=help_text, description=sentence(help_text))
        # Suppressed, so that the action's own default does not override `profiles --json list`.
        parser.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON instead")
        parser.set_defaults(run=partial(run, open_services))
        return parser

    add("list", _list, "all models, with roles, price and availability (the default)")
    show = add("show", _show, "all facts about one model")
    show.add_argument("model", metavar="MODEL", help="a profile id, role or line")
    update = add("update", _update, "propose changes to measured facts, with their evidence")
    update.epilog = (
        "Shows the changes and asks before it writes; without a terminal it only shows them. Facts in your own files"
        " are never replaced. `chargehand profiles undo` reverts the last update."
    )
    for name, source in SOURCES.items():
        update.add_argument(f"--from-{name}", dest="sources", action="append_const", const=name, help=source.help)
    update.add_argument("--all", dest="sources", action="store_const", const=list(SOURCES), help="from all of these")
    update.add_argument("--apply", action="store_true", help="write without asking")
    update.add_argument(
        "--check",
        action="store_true",
        help="for CI: exit 1 when a shipped profile is stale: a last day that is past or within 30 days, a price older"
        " than 90 days, a role without an active model",
    )
    update.add_argument("--today", type=day, metavar="DAY", help="for --check: as of DAY, YYYY-MM-DD (today, UTC)")
    add("undo", _undo, "revert the last update")
    trial = add("trial", _trial, "give two models remembered tasks that have tests, and compare them")
    trial.epilog = (
        "Gives each task to both, newest first, and proposes that MODEL take the other's place if it did no worse and"
        " has an advantage; nothing is written until you agree on a terminal. If interrupted, run the same command to"
        " continue. Exit code 3: some tasks are left to ask."
    )
    trial.add_argument("model", metavar="MODEL", help="the model to try: a profile id, role or line")
    trial.add_argument("--against", required=True, metavar="MODEL", help="the model it would replace")
    trial.add_argument("--budget-usd", type=usd, metavar="USD", help="the most it may spend, or none (1)")


def _list(open_services: "OpenServices", chosen: argparse.Namespace) -> int:
    from .profiles_commands import print_profiles

    return anyio.run(partial(print_profiles, open_services, as_json=chosen.json))


def _show(open_services: "OpenServices", chosen: argparse.Namespace) -> int:
    from .profiles_commands import print_profile

    return anyio.run(partial(print_profile, open_services, chosen.model, as_json=chosen.json))


def _update(open_services: "OpenServices", chosen: argparse.Namespace) -> int:
    from .profile_updates import report_stale_profiles, update_profiles

    if chosen.check and (chosen.sources or chosen.apply):
        raise WrongOptions("profiles update: --check proposes and writes nothing: leave out --apply and the sources.")
    if chosen.today is not None and not chosen.check:
        raise WrongOptions("profiles update: --today goes with --check.")
    if chosen.check:
        return report_stale_profiles(chosen.today, as_json=chosen.json)
    return anyio.run(
        partial(update_profiles, open_services, chosen.sources or (), apply=chosen.apply, as_json=chosen.json)
    )


def _trial(open_services: "OpenServices", chosen: argparse.Namespace) -> int:
    from .profile_trial import TrialArguments, trial_from_shell

    arguments = TrialArguments(chosen.model, chosen.against, chosen.budget_usd)
    return anyio.run(partial(trial_from_shell, open_services, arguments, as_json=chosen.json))


def _undo(open_services: "OpenServices", chosen: argparse.Namespace) -> int:
    from .profile_updates import undo_update

    return anyio.run(partial(undo_update, open_services, as_json=chosen.json))
