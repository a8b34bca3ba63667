"""Lines of an export, with default values for whatever a test does not care about."""

import json
from pathlib import Path
from typing import Any

from chargehand.memory_store.care.importing import ImportReport, ImportRules, import_memory
from chargehand.memory_store.ledger import Ledger

HEADER = {"format": "chargehand-memory", "version": 1}
ATTEMPT: dict[str, Any] = {
    "model": "qwen3-14b", "provider": "ollama", "build": None, "thinking": False, "begun_at": 10.0, "seconds": 1.0,
    "outcome": "passed", "input_tokens": 1, "output_tokens": 1, "thinking_tokens": 0, "cache_read_tokens": 0,
    "cache_write_tokens": 0, "reserved_usd": 0.5, "cost_usd": 0.25,
}  # fmt: skip
CHECK: dict[str, Any] = {
    "attempt": 0, "name": "tests", "outcome": "passed", "executed": True, "tests_passed": 1, "tests_total": 1,
    "seconds": 0.5, "first_failure": None,
}  # fmt: skip
TASK: dict[str, Any] = {
    "id": "t1", "kind": "delegation", "begun_at": 10.0, "finished_at": 20.0, "text": "Sort a list", "text_form": "full",
    "task_type": "code_generation", "complexity": 2.5, "local_only": False, "status": "succeeded",
    "model": "qwen3-14b", "verified_by": ["tests"], "baseline_model": None, "baseline_usd": None, "receipt": None,
    "project": None, "origin": "use", "decisions": [], "attempts": [ATTEMPT], "checks": [CHECK], "outcomes": [],
    "imported_outcomes": [], "embeddings": [],
}  # fmt: skip
ROW: dict[str, Any] = {
    "task_id": "set/1",
    "prompt": "Write a function that reverses a string",
    "domain": "code",
    "outcomes": {"small": {"correct": 0.25, "cost_usd": None, "api_calls": 3}, "large": {"correct": True}},
}
RULES = ImportRules(assess=lambda _: ("code_generation", 3.0))


def export_file(folder: Path, *tasks: dict[str, Any], name: str = "memory.jsonl", **header: Any) -> Path:
    """Write a file in the format of `memory export`."""
    return lines_file(folder, {**HEADER, "tasks": len(tasks), **header}, *tasks, name=name)


def lines_file(folder: Path, *lines: dict[str, Any], name: str = "rows.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


async def import_file(ledger: Ledger, file: Path, **rules: Any) -> ImportReport:
    return await import_memory(ledger, file, ImportRules(**{"assess": RULES.assess, **rules}))


async def all_rows(ledger: Ledger) -> dict[str, Any]:
    """All rows of a ledger by table, without ids that differ between ledgers."""
    tables = {
        "tasks": "SELECT * FROM tasks ORDER BY id",
        "decisions": "SELECT * FROM decisions ORDER BY id",
        "attempts": "SELECT task_id, model, begun_at, outcome, seconds, reserved_usd, cost_usd FROM attempts"
        " ORDER BY task_id, id",
        "checks": "SELECT task_id, name, outcome, first_failure FROM checks ORDER BY task_id, id",
        "outcomes": "SELECT * FROM outcomes ORDER BY task_id, outcome",
        "imported_outcomes": "SELECT * FROM imported_outcomes ORDER BY task_id, model",
        "embeddings": "SELECT task_id, embedder, HEX(vector) FROM embeddings ORDER BY task_id, embedder",
    }
    return {table: await ledger.rows(query) for table, query in tables.items()}
