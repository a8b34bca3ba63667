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
    for name, help_text in (
        ("replay", "recorded work through the whole server; or judgement and plans over a file of outcomes"),
        ("delegate", "the same, beside one answer of the director and one of a local model"),
    ):
        measure = measures.add_parser(name, help=help_text)
        measure.add_argument("data", type=Path, nargs="?", help="a .jsonl.gz of tasks with tests and answers")
        measure.add_argument("--data", type=Path, dest="data_file", metavar="DATA", help="the same, named")
        measure.add_argument("--limit", type=int, default=None, help="the first LIMIT tasks")
        measure.add_argument("--svg", type=Path, help="of a file of outcomes: where cost against quality is drawn")
        measure.set_defaults(run=partial(_recorded, name))
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
    checking = measures.add_parser("checking", help="what each parser catches and falsely alarms at, and how fast")
    checking.add_argument("--data", type=Path, required=True, help="the folder of code_syntax.jsonl.gz")
    checking.set_defaults(run=_checking)
    plan = measures.add_parser("plan", help="what plans rest on, and what each policy buys, on published outcomes")
    plan.add_argument("--data", type=Path, required=True, help="a folder of outcomes_*.jsonl.gz")
    plan.set_defaults(run=_plan)
    retrieval = measures.add_parser("retrieval", help="the lexical embedder beside TF-IDF")
    retrieval.add_argument("--data", type=Path, required=True, help="a folder of outcomes_*.jsonl.gz")
    retrieval.set_defaults(run=_retrieval)


def _latency(chosen: argparse.Namespace) -> int:
    from ..evaluation.latency import measure_latency

    return anyio.run(partial(measure_latency, runs=chosen.runs))


def _recorded(name: str, chosen: argparse.Namespace) -> int:
    from ..evaluation.replay import compare, replay

    data = chosen.data or chosen.data_file
    if data is None:
        sys.stderr.write(f"bench {name}: give the file of recorded tasks: chargehand bench {name} FILE.jsonl.gz\n")
        return 2
    if name == "replay" and data.is_file():
        from ..evaluation.outcome_rows import has_outcomes

        if has_outcomes(data):
            from ..evaluation.outcome_replay import replay_outcomes

            return replay_outcomes(data, limit=chosen.limit, picture=chosen.svg)
    measure = compare if name == "delegate" else replay
    return anyio.run(partial(measure, data, limit=chosen.limit))


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


def _checking(chosen: argparse.Namespace) -> int:
    from ..evaluation.checking import measure_checking

    return anyio.run(measure_checking, chosen.data)


def _plan(chosen: argparse.Namespace) -> int:
    from ..evaluation.plan_bench import measure_plans

    return measure_plans(chosen.data)


def _retrieval(chosen: argparse.Namespace) -> int:
    from ..evaluation.retrieval import measure_retrieval

    return anyio.run(measure_retrieval, chosen.data)
