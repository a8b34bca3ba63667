"""Embedders by the value of the setting."""

import pytest

from chargehand.memory_store.embedding.chroma_functions import ChromaFunctionEmbedder
from chargehand.memory_store.embedding.lexical import LexicalEmbedder
from chargehand.memory_store.embedding.registry import LOADERS, UnknownEmbedder, load_embedder


def test_embedders_are_loaded_by_their_kind():
    assert isinstance(load_embedder("lexical"), LexicalEmbedder)
    assert isinstance(load_embedder(" chroma:default "), ChromaFunctionEmbedder)


def test_a_loader_receives_the_text_after_the_first_colon():
    names = []

    load_embedder("mine:a:b", {**LOADERS, "mine": lambda name: names.append(name) or LexicalEmbedder()})

    assert names == ["a:b"]


@pytest.mark.parametrize("setting", ["", "lexicon", "lexical:big", "chroma", "chroma:", "ollama:nomic-embed-text"])
def test_an_unknown_embedder_is_refused_with_the_known_kinds(setting):
    with pytest.raises(UnknownEmbedder, match=r"lexical|chroma"):
        load_embedder(setting)
