"""`chargehand bench …` on the command line: each benchmark compares this installation with a baseline."""

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import anyio

from .help_text import sentence
from .option_values import real, whole
from .user_errors import WrongOptions

_FOLDS = 3
_LINES = ".jsonl or .jsonl.gz"
_PYTHON = "a Python whose packages"
_ROWS = whole(1, 10_000_000)
_SECONDS = real(0.1, 86_400)


def add_bench_commands(commands: Any) -> None:
    """Add `bench` with its measures. commands: from `add_subparsers`, whose type argparse does not export."""
    bench = commands.add_parser(
        "bench", help="measure this installation", description="Measure this installation against a baseline."
    )
    measures = bench.add_subparsers(title="measures", metavar="MEASURE", required=True)

    def add(name: str, run: Callable[[argparse.Namespace], int], help_text: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = measures.add_parser(name, help=help_text, description=sentence(help_text))
        parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
        parser.set_defaults(run=partial(_measure, run))
        return parser

    latency = add("latency", _latency, "start-up time and memory, compared with an empty server")
    latency.add_argument("--runs", type=whole(1, 1_000), default=15, metavar="N", help="starts of each server (15)")
    replay = add(
        "replay", _replay, "recorded work through the whole server; or judgement and plans on a file of outcomes"
    )
    _add_recorded_data(replay)
    replay.add_argument("--svg", type=Path, metavar="FILE", help="for outcomes: where to draw cost against quality")
    replay.add_argument(
        "--online",
        type=whole(0, 1_000),
        default=0,
        metavar="ORDERS",
        help="for outcomes: also learn from its own choices alone, over so many orders of the tasks (0)",
    )
    replay.add_argument(
        "--folds",
        type=whole(2, 100),
        default=_FOLDS,
        metavar="N",
        help=f"for outcomes: in how many parts the tasks are divided; all others are remembered for each ({_FOLDS})",
    )
    replay.add_argument(
        "--seed", type=whole(0, 2**31), default=0, metavar="N", help="for outcomes: which tasks each part holds (0)"
    )
    delegate = add(
        "delegate",
        _delegate,
        "recorded work through the server, compared with one answer of the director or a local model",
    )
    _add_recorded_data(delegate)
    predict = add("predict", _predict, "write what is expected of models on tasks, given a file of outcomes")
    predict.add_argument("--memory", type=Path, required=True, metavar="FILE", help=f"outcomes to learn from, {_LINES}")
    predict.add_argument("--tasks", type=Path, required=True, metavar="FILE", help="rows of task_id and prompt or text")
    predict.add_argument("--out", type=Path, required=True, metavar="FILE", help="the predictions, created or replaced")
    memory = add("memory", _memory, "the index compared with exact search and a Chroma server, and route_task on it")
    memory.add_argument(
        "--sizes", type=_ROWS, nargs="+", default=[1_000, 10_000], metavar="N", help="tasks remembered (1000 10000)"
    )
    crowd = add("crowd", _crowd, "many servers on one data folder: is anything lost?")
    crowd.add_argument("--servers", type=whole(1, 100), default=8, metavar="N", help="how many (8)")
    crowd.add_argument("--seconds", type=_SECONDS, default=60.0, metavar="S", help="for how long (60)")
    ordeal = add("ordeal", _ordeal, "random cancellations, kills and faults: is every task accounted for?")
    ordeal.add_argument("--rounds", type=whole(1, 100_000), default=200, metavar="N", help="how many (200)")
    http = add("http", _http, "calls of route_task over HTTP, compared with empty servers")
    http.add_argument("--clients", type=whole(1, 1_000), default=32, metavar="N", help="how many at once (32)")
    http.add_argument("--seconds", type=_SECONDS, default=4.0, metavar="S", help="length of each round (4)")
    http.add_argument("--rounds", type=whole(1, 1_000), default=5, metavar="N", help="how many (5)")
    apply = add("apply", _apply, "writes into a copy of a project: is every file as promised, even after crashes?")
    apply.add_argument(
        "--project", type=Path, required=True, metavar="PATH", help="a folder, or a source package (.tar.gz)"
    )
    checking = add("checking", _checking, "what each parser catches, its false alarms, and its speed")
    checking.add_argument(
        "--data", type=Path, required=True, metavar="FOLDER", help="the folder of code_syntax.jsonl.gz"
    )
    secrets = add("secrets", _secrets, "false alarms of the search for secrets, and its speed")
    secrets.add_argument("--data", type=Path, metavar="FOLDER", help="a folder of *.jsonl.gz")
    secrets.add_argument(
        "--sources", type=Path, nargs="+", default=[Path()], metavar="FOLDER", help="folders of code (this one)"
    )
    verdicts = add("verdicts", _verdicts, "verdicts on programs known to be right or wrong: which are mistaken?")
    verdicts.add_argument(
        "--data", type=Path, required=True, metavar="FILE", help="code_quixbugs, code_bigcodebench or code_humaneval"
    )
    verdicts.add_argument("--limit", type=_ROWS, metavar="N", help="only the first N programs")
    verdicts.add_argument("--python", type=Path, metavar="FILE", help=f"{_PYTHON} the programs may import (none)")
    context = add("context", _context, "what small context windows show of a project, compared with cutting it off")
    context.add_argument("--folder", type=Path, default=Path(), metavar="FOLDER", help="the project (this folder)")
    context.add_argument("--pattern", default="**/*.py", metavar="GLOB", help="the files to use as context (**/*.py)")
    context.add_argument("--tasks", type=_ROWS, default=100, metavar="N", help="how many functions to ask about (100)")
    plan = add("plan", _plan, "the assumptions behind plans, and what each policy gains, on published outcomes")
    plan.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="a folder of outcomes_*.jsonl.gz")
    suite = add("suite", _suite, "whether each task of the suite tells right answers from wrong ones")
    suite.add_argument("--seed", type=int, default=0, metavar="N", help="which variant of each task (0)")
    suite.add_argument("--tasks", nargs="+", default=[], metavar="NAME", help="only these (all)")
    drift = add("drift", _drift, "what usage reveals about models: false alarms and power in simulations, and its cost")
    drift.add_argument("--models", type=_ROWS, default=2_000, metavar="N", help="simulated for each case (2000)")
    drift.add_argument("--seed", type=int, default=1, metavar="N", help="of the simulation (1)")
    drift.add_argument(
        "--rows",
        type=_ROWS,
        nargs="+",
        default=[1_000, 100_000],
        metavar="N",
        help="delegations remembered (1000 100000)",
    )
    mine = add("mine", _mine, "what tasks a git history yields, and whether their checks hold")
    source = mine.add_mutually_exclusive_group(required=True)
    source.add_argument("repository", type=Path, nargs="?", help="its folder")
    source.add_argument(
        "--releases",
        type=Path,
        nargs="+",
        metavar="FILE",
        default=[],
        help="source packages (.tar.gz) to build a history from instead",
    )
    mine.add_argument("--commits", type=whole(1, 10_000), default=200, metavar="N", help="look at the newest N (200)")
    mine.add_argument("--tasks", type=whole(1, 500), default=20, metavar="N", help="make at most N (20)")
    mine.add_argument("--python", type=Path, metavar="FILE", help=f"{_PYTHON} the tests may import (none)")
    retrieval = add("retrieval", _retrieval, "the lexical embedder compared with TF-IDF")
    retrieval.add_argument("--data", type=Path, required=True, metavar="FOLDER", help="a folder of outcomes_*.jsonl.gz")


def _measure(run: Callable[[argparse.Namespace], int], chosen: argparse.Namespace) -> int:
    from ...evaluation.bench.output import collected, refuse
    from ...evaluation.json_lines import UnreadableRows
    from .reports import print_json

    try:
        if not chosen.json:
            return run(chosen)
        with collected() as collection:
            code = run(chosen)
    except UnreadableRows as error:
        return refuse(str(error))
    if collection.tables or collection.notes:
        print_json(collection.facts)
    return code


def _latency(chosen: argparse.Namespace) -> int:
    from ...evaluation.bench.latency import measure_latency

    return anyio.run(partial(measure_latency, runs=chosen.runs))


def _add_recorded_data(measure: argparse.ArgumentParser) -> None:
    measure.add_argument("data", type=Path, nargs="?", help="a .jsonl.gz file of tasks with tests and answers")
    measure.add_argument("--data", type=Path, dest="data_file", metavar="FILE", help="the same file, as an option")
    measure.add_argument("--limit", type=_ROWS, metavar="N", help="only the first N tasks")


def _recorded_data(chosen: argparse.Namespace, measure: str, holds: str) -> Path:
    if chosen.data and chosen.data_file:
        raise WrongOptions(
            f"bench {measure}: both {chosen.data} and --data {chosen.data_file} name the file. Give one of them."
        )
    if (data := chosen.data or chosen.data_file) is None:
        raise WrongOptions(f"bench {measure}: give the file of {holds}: chargehand bench {measure} FILE.jsonl.gz")
    return data


def _replay(chosen: argparse.Namespace) -> int:
    from ...evaluation.bench.outcome_tables import has_outcomes
    from ...evaluation.bench.replay import replay

    data = _recorded_data(chosen, "replay", "recorded tasks or outcomes")
    if chosen.svg and _is_same(chosen.svg, data):
        raise WrongOptions(f"bench replay: --svg {chosen.svg} would replace the outcomes. Name another file.")
    if data.is_file() and has_outcomes(data):
        from ...evaluation.bench.outcome_replay import replay_outcomes

        return replay_outcomes(
            data,
            limit=chosen.limit,
            picture=chosen.svg,
            orders=chosen.online,
            folds=chosen.folds,
            seed=chosen.seed,
        )
    if data.is_file() and (chosen.svg or chosen.online or chosen.seed or chosen.folds != _FOLDS):
        raise WrongOptions(
            f"bench replay: --svg, --online, --folds and --seed are for files of outcomes; {data} holds none"
        )
    return anyio.run(partial(replay, data, limit=chosen.limit))


def _delegate(chosen: argparse.Namespace) -> int:
    from ...evaluation.bench.replay import compare

    data = _recorded_data(chosen, "delegate", "recorded tasks")
    return anyio.run(partial(compare, data, limit=chosen.limit))


def _is_same(one: Path, other: Path) -> bool:
    return one.exists() and other.exists() and one.samefile(other)


def _predict(chosen: argparse.Namespace) -> int:
    from ...evaluation.bench.prediction import predict

    if _is_same(chosen.out, chosen.memory) or _is_same(chosen.out, chosen.tasks):
        raise WrongOptions(f"bench predict: --out {chosen.out} would replace what is read. Name another file.")
    return anyio.run(predict, chosen.memory, chosen.tasks, chosen.out)


def _memory(chosen: argparse.Namespace) -> int:
    from ...evaluation.bench.memory import measure_memory
    from ...evaluation.bench.recall_latency import measure_recall_latency

    return anyio.run(measure_memory, chosen.sizes) or anyio.run(measure_recall_latency, chosen.sizes)


def _crowd(chosen: argparse.Namespace) -> int:
    from ...evaluation.bench.crowd import crowd

    return anyio.run(partial(crowd, servers=chosen.servers, seconds=chosen.seconds))


def _ordeal(chosen: argparse.Namespace) -> int:
    from ...evaluation.bench.ordeal import ordeal

    return anyio.run(ordeal, chosen.rounds)


def _http(chosen: argparse.Namespace) -> int:
    from ...evaluation.bench.http_load import measure_http

    return anyio.run(partial(measure_http, clients=chosen.clients, seconds=chosen.seconds, rounds=chosen.rounds))


def _apply(chosen: argparse.Namespace) -> int:
    from ...evaluation.bench.writing import writing_trial

    return anyio.run(writing_trial, chosen.project)


def _checking(chosen: argparse.Namespace) -> int:
    from ...evaluation.bench.checking import measure_checking

    return anyio.run(measure_checking, chosen.data)


def _secrets(chosen: argparse.Namespace) -> int:
    from ...evaluation.bench.secret_alarms import measure_secrets

    return measure_secrets(chosen.data, chosen.sources)


def _verdicts(chosen: argparse.Namespace) -> int:
    from ...evaluation.bench.verdicts import measure_verdicts

    python = chosen.python and chosen.python.expanduser().absolute()
    return anyio.run(partial(measure_verdicts, chosen.data, limit=chosen.limit, python=python))


def _context(chosen: argparse.Namespace) -> int:
    from ...evaluation.bench.context import measure_context

    return anyio.run(measure_context, chosen.folder.resolve(), chosen.pattern, chosen.tasks)


def _plan(chosen: argparse.Namespace) -> int:
    from ...evaluation.bench.plan import measure_plans

    return measure_plans(chosen.data)


def _mine(chosen: argparse.Namespace) -> int:
    from ...evaluation.bench.mining import mine_history
    from ...evaluation.mining.mining import Extent

    extent = Extent(commits=chosen.commits, tasks=chosen.tasks)
    python = None if chosen.python is None else chosen.python.absolute()
    return anyio.run(mine_history, chosen.repository, chosen.releases, extent, python)


def _suite(chosen: argparse.Namespace) -> int:
    from ...evaluation.bench.suite import prove_suite

    return anyio.run(prove_suite, chosen.seed, chosen.tasks)


def _drift(chosen: argparse.Namespace) -> int:
    from ...evaluation.bench.drift import measure_drift
    from ...evaluation.bench.drift_latency import measure_drift_latency
    from ...evaluation.bench.like_tasks import measure_like_tasks

    codes = measure_drift(chosen.models, chosen.seed), measure_like_tasks(chosen.models, chosen.seed)
    return max(codes) or anyio.run(measure_drift_latency, chosen.rows)


def _retrieval(chosen: argparse.Namespace) -> int:
    from ...evaluation.bench.retrieval import measure_retrieval

    return anyio.run(measure_retrieval, chosen.data)
