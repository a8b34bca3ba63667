"""Which embedder a setting means."""

import pytest

from chargehand.memory_store.embedding.chroma_functions import ChromaFunctionEmbedder
from chargehand.memory_store.embedding.lexical import LexicalEmbedder
from chargehand.memory_store.embedding.registry import LOADERS, UnknownEmbedder, load_embedder


def test_each_kind_is_found_by_its_word():
    assert isinstance(load_embedder("lexical"), LexicalEmbedder)
    assert isinstance(load_embedder(" chroma:default "), ChromaFunctionEmbedder)


def test_a_new_kind_is_a_loader_more_and_gets_what_stands_after_the_colon():
    asked = []

    load_embedder("mine:a:b", {**LOADERS, "mine": lambda name: asked.append(name) or LexicalEmbedder()})

    assert asked == ["a:b"]


@pytest.mark.parametrize("setting", ["", "lexicon", "lexical:big", "chroma", "chroma:", "ollama:nomic-embed-text"])
def test_a_setting_that_names_none_is_refused_with_what_there_is(setting):
    with pytest.raises(UnknownEmbedder, match=r"lexical|chroma"):
        load_embedder(setting)
