"""The tools' arguments: types, bounds, and descriptions for the calling model.

Every character costs tokens in every conversation of every host; tests/server/test_surface.py limits them.
"""

from typing import Annotated

from pydantic import Field

from ...tools.vocabulary import MAX_ATTEMPTS, MAX_SECONDS, MAX_USD, MAX_WAIT_S

TaskText = Annotated[
    str,
    Field(description="Must be self-contained: the model does not see your chat.", min_length=1, max_length=200_000),
]
TaskId = Annotated[str, Field(max_length=64)]
ContextFiles = Annotated[
    list[str], Field(description="Paths or globs (src/**/*.py); the server reads them.", max_length=200)
]
Files = Annotated[list[str], Field(description="Paths.", max_length=200)]
Context = Annotated[str, Field(description="Extra context, as text.", max_length=2_000_000)]
Model = Annotated[
    str, Field(description="Pin: id, role or line (haiku, sonnet, opus). Never replaced.", max_length=200)
]
Tests = Annotated[
    str,
    Field(
        description="Must pass, in a sandbox: Python asserts, pytest functions or test file paths, one per line; or"
        " JavaScript"
        " asserts or node:test. The answer is module `solution`.",
        max_length=200_000,
    ),
]
Target = Annotated[
    str, Field(description="File the result goes into; output=apply writes it.", min_length=1, max_length=1_000)
]
Checks = Annotated[list[str], Field(description="Names of commands in the user's config.", max_length=20)]
Code = Annotated[str, Field(max_length=2_000_000)]
Language = Annotated[str, Field(max_length=40)]
LocalOnly = Annotated[bool, Field(description="Nothing may leave this machine.")]
MaxCostUsd = Annotated[float, Field(ge=0, le=MAX_USD)]
MaxLatencyS = Annotated[float, Field(gt=0, le=MAX_SECONDS)]
MaxSeconds = Annotated[float, Field(description="For all attempts.", ge=1, le=MAX_SECONDS)]
MaxAttempts = Annotated[int, Field(ge=1, le=MAX_ATTEMPTS)]
WaitS = Annotated[float, Field(description="Seconds to wait before returning `running`.", ge=0, le=MAX_WAIT_S)]
Resume = Annotated[str, Field(description="task_id of a running task, instead of `task`.", max_length=64)]
Cancel = Annotated[bool, Field(description="With resume: stop it.")]
Goal = Annotated[str, Field(min_length=1, max_length=50_000)]
ProgressMade = Annotated[str, Field(description="What is done, what is not.", min_length=1, max_length=100_000)]
AskedQuestion = Annotated[str, Field(max_length=20_000)]
Note = Annotated[str, Field(description="Why, in a sentence.", max_length=2_000)]
