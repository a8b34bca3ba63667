"""Wraps an embedder whose texts leave the machine: it receives no local-only text and no secrets."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

import anyio.to_thread

from ...memory_store.embedding.embedder import Embedder, EmbedderUnavailable
from ...tools.guarding.secrets import SecretSearch

if TYPE_CHECKING:
    from ...memory_store.index.vector_index import Vectors


class RedactingEmbedder:
    """Implements `Embedder` around one that sends texts to another machine."""

    def __init__(self, inner: Embedder, secrets: SecretSearch, *, local_only: bool) -> None:
        """local_only: the user's global setting; if true, the inner embedder is never called."""
        self._inner = inner
        self._secrets = secrets
        self._local_only = local_only

    is_remote = True

    async def prepare(self) -> None:
        """See `Embedder`."""
        if self._local_only:
            self._refuse()
        await self._inner.prepare()

    @property
    def id(self) -> str:
        """See `Embedder`."""
        return self._inner.id

    @property
    def similar_from(self) -> float:
        """See `Embedder`."""
        return self._inner.similar_from

    async def embed(self, texts: Sequence[str], *, local_only: bool = False) -> "Vectors":
        """See `Embedder`. Secrets are redacted first; they do not matter for similarity."""
        if self._local_only:
            self._refuse()
        if not local_only:
            texts = await anyio.to_thread.run_sync(lambda: [self._secrets.redact(text) for text in texts])
        return await self._inner.embed(texts, local_only=local_only)

    async def aclose(self) -> None:
        """See `Embedder`."""
        await self._inner.aclose()

    def _refuse(self) -> NoReturn:
        raise EmbedderUnavailable(
            "CHARGEHAND_LOCAL_ONLY is set, and this embedder sends texts to another machine."
            " Set CHARGEHAND_EMBEDDER=lexical"
        )
