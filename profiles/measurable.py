"""The facts that commands may measure and write; all others are hand-written."""

from collections.abc import Mapping

from .proposal import Proposal

MEASURABLE: Mapping[str, str] = {
    "avoids": "evaluation, usage: task types at which its rivals are significantly better",
    "best_for": "evaluation, usage: a sentence for each of those types, beside the hand-written ones",
    "capabilities": "releases: what the vendor or Ollama reports",
    "complexity_at_most": "evaluation: where its pass rate falls",
    "context_tokens": "releases: what the vendor or Ollama reports",
    "in_use": "usage: how often its work was solved, checked, accepted and kept, at what speed and cost",
    "lifecycle": "releases: status, last day and successor, as announced; evaluation, trial: the end of probation",
    "max_output_tokens": "releases: what the vendor reports",
    "measured": "evaluation: how often it passed, at what",
    "memory": "releases: what Ollama reports of the weights",
    "parameters": "releases: what Ollama reports of the weights",
    "price": "releases: what the vendor charges, with source and day",
    "roles": "evaluation, trial, usage: who is asked first; releases: the successor of who retires",
    "speed": "evaluation, usage: what this machine sees",
    "suits": "evaluation, usage: task types at which it is significantly better than its rivals",
    "weaknesses": "evaluation, usage: a sentence for each type it avoids, beside the hand-written ones",
}
"""Measurable facts by top-level key, with who measures them. Names, wire ids, addresses, keys and thinking rules
are excluded: a wrong value would send work elsewhere."""


def why_not(proposal: Proposal, own: Mapping[str, object]) -> str | None:
    """Why a proposal may not be written; None: it may. own: its profile's hand-written facts, nested as in YAML."""
    where = ".".join(proposal.place) or "the whole profile"
    if not proposal.place:
        return f"{where} is hand-written in your own file" if own else None
    if proposal.place[0] not in MEASURABLE:
        return f"{where} is not a fact that can be measured; profiles/measurable.py lists those"
    if _says(own, proposal.place):
        return f"{where} is hand-written in your own file, which wins. Remove it there to have it measured"
    return None


def _says(own: Mapping[str, object], place: tuple[str, ...]) -> bool:
    """Whether a hand-written value exists at, above or below the place."""
    at: object = own
    for key in place:
        if not isinstance(at, Mapping):
            return True
        if key not in at:
            return False
        at = at[key]  # pyright: ignore[reportUnknownVariableType] - what YAML holds
    return True
