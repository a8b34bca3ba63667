"""Loads Chroma on first use, configured to send nothing anywhere."""

import json
from functools import cache
from typing import TYPE_CHECKING, Any

from .errors import IndexUnavailable

if TYPE_CHECKING:
    from chromadb.config import Settings

_HNSW: dict[str, Any] = {
    # With the defaults (16, 100, 100), 15 to 25 of 10,000 vectors were not found among near-duplicates;
    # with these, 0 or 1, at 0.3 instead of 0.2 ms (measured 2026-11-24, 256 dimensions).
    "space": "cosine",
    "max_neighbors": 32,
    "ef_construction": 200,
    "ef_search": 200,
}

COLLECTION_CONFIGURATION: Any = {"hnsw": _HNSW}
"""Chroma does not export this type to type checkers, hence Any."""


@cache
def index_form() -> str:
    """What determines a new index's graph besides its vectors: Chroma's version and our settings."""
    from importlib.metadata import version

    return f"chromadb {version('chromadb')} {json.dumps(_HNSW, sort_keys=True)}"


def load_chroma() -> str:
    """Import Chroma, which takes a second, and return its version. Raises IndexUnavailable."""
    from pydantic import ValidationError

    try:
        import chromadb
    except ValidationError as error:
        # On import, Chroma reads settings from the environment and the working directory's .env. Their
        # values may be secret, so only the names are reported.
        names = ", ".join(sorted({".".join(map(str, fault["loc"])) for fault in error.errors()}))
        raise IndexUnavailable(
            "Chroma refuses settings that it finds in the environment or in the file .env of the start folder:"
            f" {names}. Correct or remove them, or start Chargehand in another folder"
        ) from error
    except Exception as error:
        raise IndexUnavailable(
            f"chromadb cannot be loaded ({type(error).__name__}). Install Chargehand again"
        ) from error
    return chromadb.__version__


def quiet_settings() -> "Settings":
    """Settings that ignore the .env of the user's project and disable telemetry."""
    from chromadb.config import Settings

    # A pydantic-settings argument that type checkers do not see in Chroma's class.
    without_file: dict[str, Any] = {"_env_file": None}
    return Settings(**without_file, anonymized_telemetry=False, chroma_otel_collection_endpoint="")
