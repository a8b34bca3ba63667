"""Explains why a task stops before its contract is used up, and how to make it go on."""

from dataclasses import replace

from ...profiles.price import in_dollars
from ..routing.candidates import Candidate
from ..routing.plan import Plan, PlanLimits, Step
from .options import Options


def why_it_stops(options: Options, limits: PlanLimits) -> str:
    """A note on the next model, which is not asked, and its remedy; updates `too_expensive` if cost is why."""
    if step := next(iter(options.plan(replace(limits, usd=None), include_too_expensive=True).steps), None):
        return _left_out_as_too_expensive(options, step.model, _why_too_expensive(options, step, limits))
    untimed = replace(limits, seconds=None)
    if step := next(iter(options.plan(untimed).steps), None) or options.untried_free_step(untimed):
        return (
            f"{step.model}: not asked: it would not answer within the {limits.seconds:.0f} s that are left of"
            f" max_seconds {options.contract.max_seconds:g}. Raise it to have it asked."
        )
    if (rest := options.plan(limits, at_any_price=True)).steps:
        return _not_worth_it(options, rest, "")
    if (other := _only_too_expensive(options)) is not None:
        return _left_out_as_too_expensive(options, other.profile.id, other.why_not)
    if (rest := options.plan(untimed, at_any_price=True)).steps:
        return _not_worth_it(options, rest, " with a higher max_seconds")
    made = len(options.attempts.made)
    return f"Stopped after {made} of {options.contract.max_attempts} attempts: {_why_it_ends(options)}"


def _not_worth_it(options: Options, rest: Plan, beside: str) -> str:
    """beside: what must be set besides `model`."""
    planner, step = options.decision.planner, rest.steps[0]
    what = f"{step.model}'s repair" if step.is_repair else step.model
    cost_usd = planner.cost_usd(step)
    price = f"about {in_dollars(cost_usd)}" if cost_usd else f"waiting about {planner.seconds(step):.0f} s"
    remedy = "CHARGEHAND_POLICY=quality goes on for longer, and " if cost_usd else ""
    return (
        f"Stopped: after these failures {what} is not worth {price}; the remaining options together have a"
        f' {rest.success:.0%} chance. {remedy}model="{step.model}"{beside} asks it alone.'
    )


def _left_out_as_too_expensive(options: Options, model: str, why: str | None) -> str:
    options.exclusions.too_expensive.add(model)
    return f"{model}: not asked: {why}. Raise it to have it asked."


def _why_too_expensive(options: Options, step: Step, limits: PlanLimits) -> str | None:
    planner = options.decision.planner
    if not any(c.is_usable for c in planner.candidates if c.profile.id == step.model):
        return next(c.why_not for c in planner.candidates if c.profile.id == step.model and c.is_only_too_expensive)
    return f"about {in_dollars(planner.cost_usd(step))} is more than {_limit(options, limits)}"


def _limit(options: Options, limits: PlanLimits) -> str:
    """The tighter of the two money limits, by the name of its argument or setting."""
    if limits.usd is not None and limits.usd == options.left_today_usd:
        left = in_dollars(limits.usd)
        return f"the {left} left of CHARGEHAND_DAILY_BUDGET_USD, which resets at 00:00 UTC"
    return f"is left of max_cost_usd {options.contract.max_cost_usd:g}"


def _only_too_expensive(options: Options) -> Candidate | None:
    """A model whose cost is the only obstacle."""
    out = options.exclusions.models()
    candidates = (c for c in options.decision.planner.candidates if c.is_only_too_expensive and c.profile.id not in out)
    return next(candidates, None)


def _why_it_ends(options: Options) -> str:
    """Why no other model is asked, if neither money nor time is the reason."""
    if options.contract.model is not None:
        return f'model="{options.contract.model}" was named, so no other is asked.'
    tried = {attempt.candidate.profile.id for attempt in options.attempts.made}
    out = {*tried, *options.exclusions.models()}
    rest = next((c.profile.id for c in options.decision.candidates if c.is_usable and c.profile.id not in out), None)
    if rest is not None:
        return f'of each role one model is asked. model="{rest}" asks another.'
    return "no other model can be asked."
