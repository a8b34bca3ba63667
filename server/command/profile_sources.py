"""The sources of proposals, one for each `chargehand profiles update --from-…` option."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the command line needs the names without importing the sources
    from ...evaluation.profiling.findings import ProfileFindings
    from ...tools.services import Services


Read = Callable[["Services"], Awaitable["ProfileFindings"]]
"""Reads the proposals of a source."""


@dataclass(frozen=True)
class Source:
    read: Read
    help: str


async def _evaluation(services: "Services") -> "ProfileFindings":
    from ...evaluation.profiling.from_evaluation import proposals_from_evaluation

    return await proposals_from_evaluation(services.ledger, services.catalogue, services.today)


async def _usage(services: "Services") -> "ProfileFindings":
    from ...evaluation.profiling.from_usage import proposals_from_usage

    there = (await services.survey(local_only=True)).availability
    builds = {model: found.build for model, found in there.items()}
    return await proposals_from_usage(services.ledger, services.catalogue, builds, services.now)


async def _releases(services: "Services") -> "ProfileFindings":
    from ...evaluation.profiling.findings import ProfileFindings

    findings = await services.find_releases(services.profiles, services.today)
    return ProfileFindings(proposals=findings.proposals, problems=findings.problems, notices=findings.notes)


SOURCES: Mapping[str, Source] = {
    "usage": Source(_usage, "how real work turned out, at what speed and cost, and where a model got worse"),
    "evaluation": Source(_evaluation, "what `chargehand evaluate` measured on this machine"),
    "releases": Source(_releases, "what vendors announce: retirements, successors, new models, prices"),
}
"""By option name, in the order in which they are read: each builds on what those before it propose, and overrules it.

An evaluation is an experiment, and use is not.
"""
