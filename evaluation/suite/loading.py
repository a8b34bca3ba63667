"""Loads the suite: every task file filled in for a seed, and an error for each invalid one."""

from dataclasses import dataclass
from pathlib import Path

import yaml
from pydantic import ValidationError

from ...profiles.validation import first_problem
from ...profiles.yaml_text import parse_yaml
from ...tools.checking.languages import language_of_file
from .errors import UnusableTask
from .filling import Unfilled, fill
from .prelude import with_prelude
from .task import SuiteTask
from .task_file import TaskFile, Wrong

TASKS = Path(__file__).with_name("tasks")


@dataclass(frozen=True)
class Suite:
    tasks: tuple[SuiteTask, ...]
    """Ordered by id."""
    unusable: tuple[UnusableTask, ...] = ()
    """One error per invalid file."""


def read_suite(seed: int, folder: Path = TASKS) -> Suite:
    """All tasks of a folder of `*.yaml`, ordered by id, and the errors of invalid files.

    The same seed gives the same tasks in every process and on every platform. seed: any integer.

    A caller shows a model the prompt and those of `files` that are not tests, but never `tests`.
    """
    tasks: list[SuiteTask] = []
    unusable: list[UnusableTask] = []
    for path in sorted(folder.glob("*.yaml")):
        try:
            tasks.append(task_of(path.stem, read_task_file(path), seed))
        except UnusableTask as problem:
            unusable.append(problem)
    return Suite(tuple(sorted(tasks, key=lambda task: task.id)), tuple(unusable))


def read_task_file(path: Path) -> TaskFile:
    """Parse one task file. Raises UnusableTask, which names the field."""
    try:
        return TaskFile.model_validate(parse_yaml(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UnusableTask(f"{path.name}: it cannot be read as YAML: {error}") from error
    except ValidationError as error:
        raise UnusableTask(f"{path.name}: {first_problem(error)}") from error


def task_of(name: str, file: TaskFile, seed: int) -> SuiteTask:
    """The task for one seed. Raises UnusableTask."""
    values = dict(file.values(name, seed))

    def filled(field: str, text: str) -> str:
        try:
            return fill(text, values)
        except Unfilled as error:
            raise UnusableTask(f"{name}.yaml: {field}: {error}") from error

    if file.given is not None:
        values["given"] = filled("given", file.given).rstrip("\n")
    reference = filled("reference", file.reference)
    wrong: list[str] = []
    for number, one in enumerate(file.wrong):
        filled_in = Wrong(
            slip=one.slip,
            replace=None if one.replace is None else filled(f"wrong.{number}.replace", one.replace),
            by=filled(f"wrong.{number}.by", one.by),
            answer=None if one.answer is None else filled(f"wrong.{number}.answer", one.answer),
        )
        wrong.append(_wrong_answer(f"{name}.yaml: wrong.{number}", filled_in, reference))
    slips = [one.slip for one in file.wrong]
    files = {filled("files", path): filled(f"files.{path}", text) for path, text in file.files.items()}
    target = None if file.target is None else filled("target", file.target)
    if "given" in values:
        wrong.append(values["given"] + "\n")
        slips.append("gives the code back as it was")
    if target is not None:
        mark = "````" if "```" in files[target] else "```"
        wrong.append(f"{target}\n{mark}{language_of_file(target) or ''}\n{files[target]}{mark}\n")
        slips.append("changes nothing")
    return SuiteTask(
        id=f"{name}@{seed}",
        kind=file.kind,
        language=file.language,
        complexity=file.complexity,
        prompt=filled("prompt", file.prompt).strip(),
        tests=with_prelude(filled("tests", file.tests), file.language),
        reference=_reply(reference, file.language),
        wrong=tuple(_reply(answer, file.language) for answer in wrong),
        slips=tuple(slips),
        files=files,
        target=target,
    )


def _wrong_answer(place: str, wrong: Wrong, reference: str) -> str:
    if wrong.answer is not None:
        return wrong.answer
    found = reference.count(wrong.replace or "")
    if found != 1:
        raise UnusableTask(f"{place}.replace: it must stand in the reference once, and does {found} times")
    if wrong.by == wrong.replace:
        raise UnusableTask(f"{place}.by: it is what it replaces")
    return reference.replace(wrong.replace or "", wrong.by)


def _reply(answer: str, language: str) -> str:
    """The answer as a model would write it, with fences."""
    return answer if "```" in answer else f"```{language}\n{answer.strip(chr(10))}\n```\n"
