"""The process started by `filling`: reads vectors from stdin and writes them to a Chroma folder.

It ends when stdin closes, so it outlives its parent by at most one batch.
"""

import json
import os
import sys
from pathlib import Path
from typing import IO, Any

from .chroma_library import load_chroma, quiet_settings

_NICE = 10
_FLOAT_BYTES = 4


def main(folder: Path, collection: str) -> None:
    questions = sys.stdin.buffer
    # Redirect stdout to stderr, so that Chroma's output does not mix with the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    if hasattr(os, "nice"):
        os.nice(_NICE)
    try:
        load_chroma()
        import chromadb

        client = chromadb.PersistentClient(folder, settings=quiet_settings())
        into = client.get_collection(collection, embedding_function=None)
        _say(answers, None)
        while head := questions.readline():
            _take(into, json.loads(head), questions)
            _say(answers, None)
    except Exception as error:  # noqa: BLE001 - Chroma raises its own and built-in errors; they are reported to the parent
        _say(answers, f"{type(error).__name__}: {' '.join(str(error).split())[:200]}")


def _take(into: Any, head: dict[str, Any], questions: IO[bytes]) -> None:
    """into: a collection of Chroma, which annotates arrays as lists of arrays, hence Any."""
    import numpy as np

    ids, dimensions = head["ids"], head["dimensions"]
    block = questions.read(len(ids) * dimensions * _FLOAT_BYTES)
    into.upsert(ids=ids, embeddings=np.frombuffer(block, dtype="<f4").reshape(len(ids), dimensions))


def _say(answers: IO[bytes], failure: str | None) -> None:
    try:
        answers.write(json.dumps({"failure": failure}).encode() + b"\n")
    except BrokenPipeError:
        sys.exit(0)  # the parent has ended


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
