"""Which embedder a setting means: `lexical`, `ollama:MODEL`, `chroma:NAME`.

To add one:
1. write a class that implements `Embedder`, here or, when it speaks to a server, in `server/providers/`;
2. give its kind a loader: in `LOADERS` here, or in those that `server/wiring.py` passes in;
3. name it in the settings table of the README.
"""

from collections.abc import Callable, Mapping

from .embedder import Embedder

Loader = Callable[[str], Embedder]
"""Makes an embedder from what stands after the colon. Asks nobody and imports nothing heavy."""


class UnknownEmbedder(ValueError):
    """A setting that names no embedder. The message lists those there are."""


def _lexical(name: str) -> Embedder:
    from .lexical import LexicalEmbedder

    if name:
        raise UnknownEmbedder(f"the lexical embedder takes no model, got lexical:{name}. Write lexical")
    return LexicalEmbedder()


def _chroma(name: str) -> Embedder:
    from .chroma_functions import ChromaFunctionEmbedder

    return ChromaFunctionEmbedder(named("chroma", name, "onnx_mini_lm_l6_v2"))


LOADERS: Mapping[str, Loader] = {"lexical": _lexical, "chroma": _chroma}
"""By the word before the colon. `ollama` needs a connection, so the server brings it."""


def load_embedder(setting: str, loaders: Mapping[str, Loader] = LOADERS) -> Embedder:
    """The embedder that a setting means. Raises UnknownEmbedder."""
    kind, _, name = setting.strip().partition(":")
    loader = loaders.get(kind)
    if loader is None:
        raise UnknownEmbedder(f"there is no embedder {setting!r}. Use one of: {', '.join(map(_form, sorted(loaders)))}")
    return loader(name.strip())


def named(kind: str, name: str, example: str) -> str:
    """The name that an embedder of this kind needs. example: of one. Raises UnknownEmbedder when it is empty."""
    if not name:
        raise UnknownEmbedder(f"{kind} needs a name, such as {kind}:{example}")
    return name


def _form(kind: str) -> str:
    return kind if kind == "lexical" else f"{kind}:NAME"
