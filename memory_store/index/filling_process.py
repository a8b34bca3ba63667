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
    requests = sys.stdin.buffer
    # Redirect stdout to stderr, so that Chroma's output does not mix with the responses.
    responses = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    if hasattr(os, "nice"):
        os.nice(_NICE)
    try:
        load_chroma()
        import chromadb

        client = chromadb.PersistentClient(folder, settings=quiet_settings())
        into = client.get_collection(collection, embedding_function=None)
        _respond(responses, None)
        while head := requests.readline():
            _upsert(into, json.loads(head), requests)
            _respond(responses, None)
    except Exception as error:  # noqa: BLE001 - Chroma raises its own and built-in errors; they are reported to the parent
        _respond(responses, f"{type(error).__name__}: {' '.join(str(error).split())[:200]}")


def _upsert(into: Any, head: dict[str, Any], requests: IO[bytes]) -> None:
    """into: a collection of Chroma, which annotates arrays as lists of arrays, hence Any."""
    import numpy as np

    ids, dimensions = head["ids"], head["dimensions"]
    block = requests.read(len(ids) * dimensions * _FLOAT_BYTES)
    into.upsert(ids=ids, embeddings=np.frombuffer(block, dtype="<f4").reshape(len(ids), dimensions))


def _respond(responses: IO[bytes], failure: str | None) -> None:
    try:
        responses.write(json.dumps({"failure": failure}).encode() + b"\n")
    except BrokenPipeError:
        sys.exit(0)  # the parent has ended


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
