"""Creates the embedder named by a setting: `lexical`, `ollama:MODEL`, `chroma:NAME`.

To add one:
1. write a class that implements `Embedder`, here or, if it calls a server, in `server/providers/`;
2. add a loader for its kind to `LOADERS`, or to those passed in by `server/wiring.py`;
3. add it to the settings table in the README.
"""

from collections.abc import Callable, Mapping

from .embedder import Embedder

Loader = Callable[[str], Embedder]
"""Creates an embedder from the text after the colon, without network access or heavy imports."""


class UnknownEmbedder(ValueError):
    """The setting names no known embedder; the message lists the known ones."""


def _lexical(name: str) -> Embedder:
    from .lexical import LexicalEmbedder

    if name:
        raise UnknownEmbedder(f"the lexical embedder takes no model, got lexical:{name}. Write lexical")
    return LexicalEmbedder()


def _chroma(name: str) -> Embedder:
    from .chroma_functions import ChromaFunctionEmbedder

    return ChromaFunctionEmbedder(named("chroma", name, "onnx_mini_lm_l6_v2"))


LOADERS: Mapping[str, Loader] = {"lexical": _lexical, "chroma": _chroma}
"""By the word before the colon. `ollama` needs a connection, so the server adds it."""


def load_embedder(setting: str, loaders: Mapping[str, Loader] = LOADERS) -> Embedder:
    """Create the embedder named by a setting. Raises UnknownEmbedder."""
    kind, _, name = setting.strip().partition(":")
    loader = loaders.get(kind)
    if loader is None:
        raise UnknownEmbedder(f"there is no embedder {setting!r}. Use one of: {', '.join(map(_form, sorted(loaders)))}")
    return loader(name.strip())


def named(kind: str, name: str, example: str) -> str:
    """The name, for kinds that require one. example: a valid name. Raises UnknownEmbedder when it is empty."""
    if not name:
        raise UnknownEmbedder(f"{kind} needs a name, such as {kind}:{example}")
    return name


def _form(kind: str) -> str:
    return kind if kind == "lexical" else f"{kind}:NAME"
