"""`chargehand bench …` on the command line: each measures this installation, on named data, against a baseline."""

import argparse
import sys
from functools import partial
from pathlib import Path
from typing import Any

import anyio


def add_bench_commands(commands: Any) -> None:
    """Add `bench` with its measures. commands: what `add_subparsers` gave; argparse does not export its type."""
    bench = commands.add_parser(
        "bench", help="measure this installation", description="Measure this installation against a baseline."
    )
    measures = bench.add_subparsers(title="measures", metavar="MEASURE", required=True)

    latency = measures.add_parser("latency", help="start-up and memory, against an empty server")
    latency.add_argument("--runs", type=int, default=15, help="starts of each server (15)")
    latency.set_defaults(run=_latency)
    replay = measures.add_parser(
        "replay", help="recorded work through the whole server; or judgement and plans over a file of outcomes"
    )
    _add_recorded_data(replay)
    replay.add_argument("--svg", type=Path, help="for outcomes: where to draw cost against quality")
    replay.add_argument(
        "--online", type=int, default=0, metavar="ORDERS", help="for outcomes: learning from own choices alone (0)"
    )
    replay.set_defaults(run=_replay)
    delegate = measures.add_parser(
        "delegate", help="recorded work through the server, beside one answer of the director and one of a local model"
    )
    _add_recorded_data(delegate)
    delegate.set_defaults(run=_delegate)
    predict = measures.add_parser("predict", help="what is expected of models on tasks, by a file of outcomes")
    predict.add_argument("--memory", type=Path, required=True, help="outcomes to learn from, .jsonl or .jsonl.gz")
    predict.add_argument("--tasks", type=Path, required=True, help="rows of task_id and prompt or text")
    predict.add_argument("--out", type=Path, required=True, help="the file of predictions, made or replaced")
    predict.set_defaults(run=_predict)
    memory = measures.add_parser("memory", help="the index beside exact search and a Chroma server; and route_task")
    memory.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000], help="tasks remembered (1000 10000)")
    memory.set_defaults(run=_memory)
    crowd = measures.add_parser("crowd", help="many servers on one data folder: is anything lost?")
    crowd.add_argument("--servers", type=int, default=8, help="how many (8)")
    crowd.add_argument("--seconds", type=float, default=60.0, help="for how long (60)")
    crowd.set_defaults(run=_crowd)
    ordeal = measures.add_parser("ordeal", help="random cancellations, kills and faults: is each task accounted for?")
    ordeal.add_argument("--rounds", type=int, default=200, help="how many (200)")
    ordeal.set_defaults(run=_ordeal)
    http = measures.add_parser("http", help="route_task over HTTP, against empty servers")
    http.add_argument("--clients", type=int, default=32, help="how many at once (32)")
    http.add_argument("--seconds", type=float, default=4.0, help="of each round (4)")
    http.add_argument("--rounds", type=int, default=5, help="how many (5)")
    http.set_defaults(run=_http)
    apply = measures.add_parser(
        "apply", help="write into a copy of a project: is every file as promised, after crashes too?"
    )
    apply.add_argument("--project", type=Path, required=True, help="a folder, or a source package (.tar.gz)")
    apply.set_defaults(run=_apply)
    checking = measures.add_parser("checking", help="what each parser catches and falsely alarms at, and how fast")
    checking.add_argument("--data", type=Path, required=True, help="the folder of code_syntax.jsonl.gz")
    checking.set_defaults(run=_checking)
    secrets = measures.add_parser("secrets", help="false alarms of the search for secrets, and how fast it is")
    secrets.add_argument("--data", type=Path, default=None, help="a folder of *.jsonl.gz")
    secrets.add_argument("--sources", type=Path, nargs="+", default=[Path()], help="folders of code (this one)")
    secrets.set_defaults(run=_secrets)
    verdicts = measures.add_parser("verdicts", help="programs known to be right or wrong: wrong passes, wrong fails")
    verdicts.add_argument("--data", type=Path, required=True, help="code_quixbugs, code_bigcodebench or code_humaneval")
    verdicts.add_argument("--limit", type=int, default=None, help="the first LIMIT programs")
    verdicts.add_argument("--python", type=Path, default=None, help="whose packages they may import; none by default")
    verdicts.set_defaults(run=_verdicts)
    context = measures.add_parser("context", help="what small windows see of a project, beside cutting it off")
    context.add_argument("--folder", type=Path, default=Path(), help="the project (this folder)")
    context.add_argument("--pattern", default="**/*.py", help="its files that are the context (**/*.py)")
    context.add_argument("--tasks", type=int, default=100, help="how many functions are asked about (100)")
    context.set_defaults(run=_context)
    plan = measures.add_parser("plan", help="what plans rest on, and what each policy buys, on published outcomes")
    plan.add_argument("--data", type=Path, required=True, help="a folder of outcomes_*.jsonl.gz")
    plan.set_defaults(run=_plan)
    suite = measures.add_parser("suite", help="whether each task of the suite tells right answers from wrong ones")
    suite.add_argument("--seed", type=int, default=0, help="which variant of each task (0)")
    suite.add_argument("--tasks", nargs="+", default=[], metavar="NAME", help="these alone (all)")
    suite.set_defaults(run=_suite)
    drift = measures.add_parser(
        "drift", help="what use says of models: false alarms and power, by simulation; and its cost"
    )
    drift.add_argument("--models", type=int, default=2_000, help="simulated for each case (2000)")
    drift.add_argument("--seed", type=int, default=1, help="of the simulation (1)")
    drift.add_argument(
        "--rows", type=int, nargs="+", default=[1_000, 100_000], help="delegations remembered (1000 100000)"
    )
    drift.set_defaults(run=_drift)
    mine = measures.add_parser("mine", help="what tasks a git history yields, and whether their checks hold")
    source = mine.add_mutually_exclusive_group(required=True)
    source.add_argument("repository", type=Path, nargs="?", help="a folder of it")
    source.add_argument(
        "--releases", type=Path, nargs="+", metavar="FILE", default=[], help="a history made of source packages instead"
    )
    mine.add_argument("--commits", type=int, default=200, help="look at the newest (200)")
    mine.add_argument("--tasks", type=int, default=20, help="make no more (20)")
    mine.add_argument("--python", type=Path, default=None, help="whose packages its tests may import; none by default")
    mine.set_defaults(run=_mine)
    retrieval = measures.add_parser("retrieval", help="the lexical embedder beside TF-IDF")
    retrieval.add_argument("--data", type=Path, required=True, help="a folder of outcomes_*.jsonl.gz")
    retrieval.set_defaults(run=_retrieval)


def _latency(chosen: argparse.Namespace) -> int:
    from ..evaluation.latency import measure_latency

    return anyio.run(partial(measure_latency, runs=chosen.runs))


def _add_recorded_data(measure: argparse.ArgumentParser) -> None:
    measure.add_argument("data", type=Path, nargs="?", help="a .jsonl.gz of tasks with tests and answers")
    measure.add_argument("--data", type=Path, dest="data_file", metavar="DATA", help="the same, named")
    measure.add_argument("--limit", type=int, default=None, help="the first LIMIT tasks")


def _replay(chosen: argparse.Namespace) -> int:
    from ..evaluation.outcome_rows import has_outcomes
    from ..evaluation.replay import replay

    data = chosen.data or chosen.data_file
    if data is None:
        return _refused("replay", "give the file of recorded tasks or outcomes: chargehand bench replay FILE.jsonl.gz")
    if data.is_file() and has_outcomes(data):
        from ..evaluation.outcome_replay import replay_outcomes

        return replay_outcomes(data, limit=chosen.limit, picture=chosen.svg, orders=chosen.online)
    if data.is_file() and (chosen.svg or chosen.online):
        return _refused("replay", f"--svg and --online are for files of outcomes; {data} holds none")
    return anyio.run(partial(replay, data, limit=chosen.limit))


def _delegate(chosen: argparse.Namespace) -> int:
    from ..evaluation.replay import compare

    data = chosen.data or chosen.data_file
    if data is None:
        return _refused("delegate", "give the file of recorded tasks: chargehand bench delegate FILE.jsonl.gz")
    return anyio.run(partial(compare, data, limit=chosen.limit))


def _refused(measure: str, why: str) -> int:
    sys.stderr.write(f"bench {measure}: {why}\n")
    return 2


def _predict(chosen: argparse.Namespace) -> int:
    from ..evaluation.prediction import predict

    return anyio.run(predict, chosen.memory, chosen.tasks, chosen.out)


def _memory(chosen: argparse.Namespace) -> int:
    from ..evaluation.memory_bench import measure_memory
    from ..evaluation.recall_latency import measure_recall_latency

    return anyio.run(measure_memory, chosen.sizes) or anyio.run(measure_recall_latency, chosen.sizes)


def _crowd(chosen: argparse.Namespace) -> int:
    from ..evaluation.crowd import crowd

    return anyio.run(partial(crowd, servers=chosen.servers, seconds=chosen.seconds))


def _ordeal(chosen: argparse.Namespace) -> int:
    from ..evaluation.ordeal import ordeal

    return anyio.run(ordeal, chosen.rounds)


def _http(chosen: argparse.Namespace) -> int:
    from ..evaluation.http_load import measure_http

    return anyio.run(partial(measure_http, clients=chosen.clients, seconds=chosen.seconds, rounds=chosen.rounds))


def _apply(chosen: argparse.Namespace) -> int:
    from ..evaluation.writing_trial import writing_trial

    return anyio.run(writing_trial, chosen.project)


def _checking(chosen: argparse.Namespace) -> int:
    from ..evaluation.checking import measure_checking

    return anyio.run(measure_checking, chosen.data)


def _secrets(chosen: argparse.Namespace) -> int:
    from ..evaluation.secret_bench import measure_secrets

    return measure_secrets(chosen.data, chosen.sources)


def _verdicts(chosen: argparse.Namespace) -> int:
    from ..evaluation.verdicts import measure_verdicts

    python = chosen.python and chosen.python.expanduser().absolute()
    return anyio.run(partial(measure_verdicts, chosen.data, limit=chosen.limit, python=python))


def _context(chosen: argparse.Namespace) -> int:
    from ..evaluation.context_bench import measure_context

    return anyio.run(measure_context, chosen.folder.resolve(), chosen.pattern, chosen.tasks)


def _plan(chosen: argparse.Namespace) -> int:
    from ..evaluation.plan_bench import measure_plans

    return measure_plans(chosen.data)


def _mine(chosen: argparse.Namespace) -> int:
    from ..evaluation.mining.mining import Extent
    from ..evaluation.mining_bench import mine_history

    extent = Extent(commits=chosen.commits, tasks=chosen.tasks)
    python = None if chosen.python is None else chosen.python.absolute()
    return anyio.run(mine_history, chosen.repository, chosen.releases, extent, python)


def _suite(chosen: argparse.Namespace) -> int:
    from ..evaluation.suite_bench import prove_suite

    return anyio.run(prove_suite, chosen.seed, chosen.tasks)


def _drift(chosen: argparse.Namespace) -> int:
    from ..evaluation.drift_bench import measure_drift
    from ..evaluation.drift_latency import measure_drift_latency
    from ..evaluation.like_tasks_bench import measure_like_tasks

    codes = measure_drift(chosen.models, chosen.seed), measure_like_tasks(chosen.models, chosen.seed)
    return max(codes) or anyio.run(measure_drift_latency, chosen.rows)


def _retrieval(chosen: argparse.Namespace) -> int:
    from ..evaluation.retrieval import measure_retrieval

    return anyio.run(measure_retrieval, chosen.data)
