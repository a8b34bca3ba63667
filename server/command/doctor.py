"""`chargehand doctor`: checks in a few seconds what is reachable, installed or missing, with remedies."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import anyio.to_thread
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ...evaluation.profiling.drift import declines, describe_declines
from ...memory_store.engagements import read_engagements
from ...memory_store.index.chroma_server import ChromaServer
from ...memory_store.index.errors import IndexUnavailable
from ...memory_store.index.exact_choice import choices_in
from ...profiles.model import Endpoint, ModelProfile
from ...profiles.price import in_dollars
from ...profiles.retirement import Notice, notices
from ...profiles.vocabulary import ProviderName, Role
from ...tools.checking.node import INSTALL, OLDEST, STRIPS_TYPES, Node, find_node
from ...tools.checking.sandbox_search import SandboxSearch
from ...tools.provider import Availability
from ...tools.services import Services
from ..hosts.examining import examine_host
from ..hosts.host import Host
from ..settings import load_settings
from ..wiring import INDEX_FOLDER, chroma_server, open_services
from .reports import print_json

Health = Literal["ok", "missing", "broken"]

Access = Mapping[ProviderName, str | None]
"""For each vendor, why it denies access; None if it grants it."""

_COLOURS: dict[Health, str] = {"ok": "green", "missing": "yellow", "broken": "red"}


_LOCAL_ONLY = "not asked: CHARGEHAND_LOCAL_ONLY keeps everything on this machine"


@dataclass(frozen=True)
class Line:
    """The result of one check."""

    what: str
    health: Health
    """missing: Chargehand works without it, with fewer features. broken: something that is set up does not work."""
    finding: str


@dataclass(frozen=True)
class Diagnosis:
    lines: tuple[Line, ...]
    can_generate: bool | None
    """Whether any model is available. None: unknown, because a host's server runs at an address."""


async def doctor(*, as_json: bool) -> int:
    """Print the diagnosis. Returns 0, or 1 if no model is available."""
    settings = load_settings()
    async with open_services(settings, Path.cwd()) as services:
        diagnosis = await examine(services, chroma_server(settings, services.ledger))
    return _show(diagnosis, as_json=as_json)


async def doctor_of_host(host: Host, file: Path | None, *, as_json: bool) -> int:
    """Print the diagnosis for a host's server.

    Returns 0, or 1 if it would not start, does not answer at its address, or no model is available.
    """
    found = await examine_host(host, file or host.file())
    lines = [Line(f.what, "ok" if f.is_ok else "broken", f.text) for f in found.findings]
    lines += [Line(**line) for line in (found.diagnosis or {}).get("lines", ())]
    if found.diagnosis is None and all(f.is_ok for f in found.findings):
        return _show(Diagnosis(tuple(lines), can_generate=None), as_json=as_json)
    diagnosis = Diagnosis(tuple(lines), can_generate=bool((found.diagnosis or {}).get("can_generate")))
    return _show(diagnosis, as_json=as_json)


async def examine(services: Services, chroma: ChromaServer | None = None) -> Diagnosis:
    """Check everything that a delegation needs, all vendors concurrently; sends no paid requests.

    chroma: the user's configured Chroma server; it is closed afterwards.
    """
    await services.survey()
    access = await services.check_access()
    # Surveyed again, because a provider with several servers reports each one's error in its models' availability.
    availability = (await services.survey()).availability
    vendors = _vendors(services, availability, access)
    lines = [
        *vendors,
        *_roles(services, availability, access, {line.finding: line.what for line in vendors}),
        *_retirements(services),
        _sandbox(await services.find_sandbox()),
        _node(await find_node()),
        *_roots(services),
        *(Line("profile", "broken", str(problem)) for problem in services.catalogue.problems),
        _privacy(services),
        _budget(services, await services.ledger.spent_today_usd()),
        *await _exact_search(services),
        *await _chroma(chroma),
        *await _declines(services, availability),
    ]
    with_role = [p.id for p in services.catalogue if services.catalogue.roles_of(p, services.today)]
    usable = any(_can_be_asked(services, model, availability, access) for model in with_role)
    return Diagnosis(tuple(lines), can_generate=usable)


def _show(diagnosis: Diagnosis, *, as_json: bool) -> int:
    """Print the diagnosis. Returns 1 if no model can be asked, else 0."""
    code = 1 if diagnosis.can_generate is False else 0
    if as_json:
        print_json(asdict(diagnosis))
        return code
    table = Table("", "", "", show_header=False)
    for line in diagnosis.lines:
        table.add_row(line.what, f"[{_COLOURS[line.health]}]{line.health}[/]", escape(line.finding))
    console = Console()
    console.print(table)
    if code != 0:
        console.print("No model can be asked. Do one of the things above, then run `chargehand doctor` again.")
    return code


def _can_be_asked(services: Services, model: str, availability: Mapping[str, Availability], access: Access) -> bool:
    profile = services.catalogue.profiles[model]
    if access.get(profile.provider) is not None:
        return False
    return services.can_be_asked(profile, availability.get(model), local_only=services.rules.local_only)


def _vendors(services: Services, availability: Mapping[str, Availability], access: Access) -> Sequence[Line]:
    lines: list[Line] = []
    offered = [p for p in services.catalogue if p.is_offered_on(services.today)]
    vendors = [Endpoint(name) for name in services.providers if name != "openai_compatible"]
    servers = dict.fromkeys([*vendors, *(p.endpoint for p in offered if p.base_url is not None)])
    for server in servers:
        name = server.provider
        mine = [p for p in offered if p.endpoint == server]
        there = [p for p in mine if services.can_be_asked(p, availability[p.id], local_only=services.rules.local_only)]
        problem = access.get(name)
        if mine and all(_is_blocked(services, availability[p.id]) for p in mine):
            lines.append(Line(name, "missing", _LOCAL_ONLY))
        elif there and problem is None:
            models = [_named(p, availability[p.id]) for p in there]
            lines.append(Line(name, "ok", f"{availability[there[0].id].host}: {', '.join(models)}"))
        elif there:
            lines.append(Line(name, "broken", problem or ""))
        else:
            whys = dict.fromkeys(availability[p.id].why_not or "" for p in mine)
            lines.append(Line(name, "missing", next(iter(whys), "no profile names it")))
    return lines


def _named(profile: ModelProfile, availability: Availability) -> str:
    return f"{profile.id} ({availability.api_model})" if availability.api_model else profile.id


def _roles(
    services: Services, availability: Mapping[str, Availability], access: Access, shown: Mapping[str, str]
) -> Sequence[Line]:
    """The model that plays each role now. shown: the vendors' names by finding, to refer to one already shown."""
    return [_role(services, role, availability, access, shown) for role in services.catalogue.rules.ladder]


def _role(
    services: Services,
    role: Role,
    availability: Mapping[str, Availability],
    access: Access,
    shown: Mapping[str, str],
) -> Line:
    models = services.catalogue.models_in_role(role, services.today)
    usable = [p for p in models if _can_be_asked(services, p.id, availability, access)]
    if usable:
        return Line(f"role {role}", "ok", usable[0].id)
    if not models:
        return Line(f"role {role}", "missing", "no active profile plays it")
    first = next((p for p in models if not _is_blocked(services, availability[p.id])), models[0])
    if _is_blocked(services, availability[first.id]):
        return Line(f"role {role}", "missing", f"{first.id}: {_LOCAL_ONLY}")
    why_not = access.get(first.provider) or availability[first.id].why_not or "cannot be asked"
    reason = f"see {shown[why_not]}" if why_not in shown else why_not
    return Line(f"role {role}", "missing", f"{first.id}: {reason}")


def _is_blocked(services: Services, there: Availability) -> bool:
    """Whether the local-only setting rules the model out."""
    return services.rules.local_only and not there.is_local


def _retirements(services: Services) -> Sequence[Line]:
    def health(notice: Notice) -> Health:
        is_provided_for = notice.successor is not None and not notice.successor_is_on_probation
        return "ok" if is_provided_for or not notice.roles else "missing"

    return [Line("retirement", health(notice), notice.text) for notice in notices(services.catalogue, services.today)]


def _sandbox(search: SandboxSearch) -> Line:
    if search.is_unsafe:
        return Line("sandbox", "missing", search.reason)
    if search.sandbox is not None:
        return Line("sandbox", "ok", search.reason)
    remedy = f" {search.remedy}" if search.remedy else ""
    return Line("sandbox", "missing", f"{search.reason}: tests are not run, so nothing can be verified.{remedy}")


def _node(node: Node | None) -> Line:
    if node is None or node.version < OLDEST:
        found = "not found" if node is None else f"{node.shown} is too old"
        return Line("node", "missing", f"{found}: tests in JavaScript and TypeScript are not run; {INSTALL}")
    if node.version < STRIPS_TYPES:
        return Line("node", "ok", f"{node.shown} runs tests in JavaScript; for TypeScript {INSTALL}")
    return Line("node", "ok", f"{node.shown} runs tests in JavaScript and TypeScript")


def _roots(services: Services) -> Sequence[Line]:
    lines = [Line("roots", "broken", problem) for problem in services.roots.problems]
    if services.roots.folders:
        lines.append(Line("roots", "ok", ", ".join(map(str, services.roots.folders))))
    elif not lines:
        hint = "no folder may be read, so file arguments are refused. Set CHARGEHAND_ROOTS in your host's config."
        lines.append(Line("roots", "missing", hint))
    return lines


async def _declines(services: Services, availability: Mapping[str, Availability]) -> Sequence[Line]:
    """The kinds of task at which models have declined in use; empty if there are none."""
    used = await read_engagements(services.ledger, services.catalogue.profiles)
    builds = {model: there.build for model, there in availability.items()}
    declined = describe_declines(declines(used.by_model, builds, services.now), services.catalogue)
    return [Line("drift", "missing", sentence) for sentences in declined.values() for sentence in sentences]


async def _exact_search(services: Services) -> Sequence[Line]:
    """The reason why exact search is used instead of Chroma; empty if Chroma is used."""
    chosen = await anyio.to_thread.run_sync(choices_in, services.ledger.path.parent / INDEX_FOLDER)
    return [Line("memory", "ok", f"{choice.embedder}: {choice.as_text()}") for choice in chosen]


async def _chroma(server: ChromaServer | None) -> Sequence[Line]:
    """Whether the memory's Chroma server answers. A running server connects to it only once there are memories."""
    if server is None:
        return []
    try:
        await server.check()
    except IndexUnavailable as problem:
        return [Line("memory", "broken", f"{problem}.")]
    finally:
        await server.aclose()
    return [Line("memory", "ok", f"the Chroma server {server.address} answers")]


def _privacy(services: Services) -> Line:
    privacy = services.rules.privacy
    kinds = len({pattern.name for pattern in privacy.secrets.shipped})
    own = f" and {len(privacy.secrets.own)} of yours" if privacy.secrets.own else ""
    if services.rules.local_only:
        stays = "CHARGEHAND_LOCAL_ONLY: every task stays on this machine"
    elif privacy.local_paths.patterns:
        stays = f"files under {', '.join(privacy.local_paths.patterns)} stay on this machine"
    else:
        stays = "no path is marked as local ([privacy] local_only can name some)"
    becomes = "is replaced in what leaves" if privacy.replaces_secrets else "keeps its task on this machine"
    return Line("privacy", "ok", f"{stays}; a secret ({kinds} kinds{own}) {becomes}")


def _budget(services: Services, spent_usd: float) -> Line:
    cap_usd = services.rules.daily_budget_usd
    if services.rules.local_only:
        return Line("budget", "ok", "CHARGEHAND_LOCAL_ONLY: nothing leaves this machine")
    if cap_usd is None:
        return Line("budget", "ok", f"no cap; {in_dollars(spent_usd)} spent today (UTC)")
    return Line("budget", "ok", f"${cap_usd:g} a day; {in_dollars(spent_usd)} spent or reserved today (UTC)")
