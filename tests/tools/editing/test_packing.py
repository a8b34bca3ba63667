"""Packing context files into a context window that is too small for all of them."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chargehand.tools.asking.tokens import estimate_tokens
from chargehand.tools.editing.context import ContextFile
from chargehand.tools.editing.packing import Packed, Packing, room_in
from chargehand.tools.routing.candidates import Constraints


def _module(*names: str, imports: str = "import os", lines: int = 30) -> str:
    """A module with a function of `lines` lines for each name."""
    functions = (f"def {name}(a):\n" + "".join(f"    {name}_{n} = {n}\n" for n in range(lines)) for name in names)
    return f"{imports}\n\n\n" + "\n\n".join(functions)


ORDERS = ContextFile("src/orders.py", _module("load_order", "save_order", "total"))
STOCK = ContextFile("src/stock.py", _module("reserve_stock", "total", imports="import json"))
TAXES = ContextFile("src/taxes.py", _module("tax_of", "rate_of", imports="from orders import total"))
FILES = (ORDERS, STOCK, TAXES)


def _pack(task: str, room_tokens: int | None, *, target: str | None = None) -> Packed:
    return Packing(task, FILES, target).pack(room_tokens)


def _without_bodies(packed: Packed) -> dict[str, str]:
    """The text of each file, with function bodies shortened to an ellipsis."""
    return {file.path: re.sub(r"(?m)(^    \w+_\d+ = \d+\n?)+", "    …\n", file.text) for file in packed.files}


def test_files_that_fit_are_packed_whole_without_a_note():
    packing = Packing("Do it.", FILES)

    assert packing.pack(None) == packing.pack(packing.whole_tokens) == Packed(FILES, packing.whole_tokens, None)


def test_packing_no_files_takes_no_tokens():
    assert Packing("Do it.", ()).pack(0) == Packed((), 0, None)
    assert Packing("Do it.", ()).min_tokens == 0


def test_a_definition_named_by_the_task_is_packed_with_imports_and_surrounding_signatures():
    assert _without_bodies(_pack("Let `save_order` return the order.", 1)) == {
        "src/orders.py": (
            "import os\n\n\ndef load_order(a):\n[lines 5-36 left out]\ndef save_order(a):\n    …\n\n\ndef total(a):\n"
            "[lines 71-100 left out]\n"
        )
    }


def test_the_note_lists_partial_and_omitted_files():
    packed = _pack("Let `save_order` return the order.", 1)

    assert packed.note == ("context: 0 files whole, 1 in part (src/orders.py), 2 left out: src/stock.py, src/taxes.py")
    assert [file.is_whole for file in packed.files] == [False]


def test_with_more_room_more_is_packed_in_order_of_relevance():
    task = "Let `save_order` return the total."
    least = Packing(task, FILES).min_tokens

    shown_texts = [_without_bodies(_pack(task, room)) for room in (least, least + 800, least + 900, 100_000)]

    assert list(shown_texts[0]) == ["src/orders.py"]
    assert "def total(a):\n    …" in shown_texts[1]["src/orders.py"]
    assert "def total(a):\n    …" in shown_texts[1]["src/stock.py"]
    assert shown_texts[2]["src/taxes.py"] == (
        "from orders import total\n\n\ndef tax_of(a):\n[lines 5-36 left out]\ndef rate_of(a):\n[lines 38-67 left out]\n"
    )
    assert "left out" not in "".join(shown_texts[3].values())


def test_the_target_is_packed_first_and_then_the_definitions_it_refers_to():
    files = (
        ContextFile("a.py", _module("other", "unrelated")),
        ContextFile("b.py", _module("used_one", "unused_one")),
        ContextFile("t.py", "from b import used_one\n\n\ndef go():\n    return used_one(1)\n"),
    )
    packing = Packing("Make it quicker.", files, "t.py")

    packed = packing.pack(packing.min_tokens + 250)

    texts = {file.path: file.text for file in packed.files}
    assert texts["t.py"] == files[2].text
    assert "used_one_29" in texts["b.py"]
    assert "unused_one_1" not in texts["b.py"]
    assert "a.py" not in texts
    assert packed.note == "context: 1 file whole, 1 in part (b.py), 1 left out: a.py"


def test_a_target_that_does_not_fit_keeps_its_signatures_and_as_many_functions_as_fit():
    target = ContextFile("t.py", _module("one", "two", "three"))
    packing = Packing("Make it quicker.", (target,), "t.py")

    packed = packing.pack(packing.min_tokens + 200)

    assert re.findall(r"(\w+)_29", packed.files[0].text) == ["one"]
    assert re.findall(r"def (\w+)", packed.files[0].text) == ["one", "two", "three"]


def test_a_file_that_the_task_names_is_treated_as_a_target():
    packed = _pack("Tidy up stock.py, please.", 700)

    assert "reserve_stock_29" in next(file.text for file in packed.files if file.path == "src/stock.py")
    assert "load_order_29" not in "".join(file.text for file in packed.files)


def test_other_methods_of_a_class_whose_method_is_named_are_reduced_to_signatures():
    text = (
        "class Shop:\n    def open(self):\n"
        + "        x = 1\n" * 30
        + "    def close_down(self):\n        return 0\n"
        + "    def sell(self):\n"
        + "        y = 1\n" * 30
    )
    packing = Packing("Let `Shop.close_down` log.", (ContextFile("a.py", text),))

    assert packing.pack(packing.min_tokens).files[0].text == (
        "class Shop:\n    def open(self):\n[lines 3-32 left out]\n    def close_down(self):\n        return 0\n"
        "    def sell(self):\n[lines 36-65 left out]\n"
    )


def test_a_task_that_names_no_definition_gets_the_signatures_of_all_files():
    packing = Packing("Make it quicker.", FILES)

    packed = packing.pack(packing.min_tokens)

    assert [file.path for file in packed.files] == ["src/orders.py", "src/stock.py", "src/taxes.py"]
    assert "_29" not in "".join(file.text for file in packed.files)


def test_sections_of_a_document_that_contain_a_named_definition_are_packed():
    sections = (("`save_order`" if number == 7 else "nothing") for number in range(20))
    text = "".join(f"## Part\n\n{f'It says {subject} here.' * 20}\n\n" for subject in sections)
    packing = Packing("Describe `save_order`.", (ContextFile("README.md", text),))

    shown_texts = packing.pack(packing.min_tokens).files[0].text

    assert shown_texts.count("It says `save_order` here.") == 20
    assert "nothing" not in shown_texts
    assert shown_texts.count("## Part") == 20


def test_a_gap_shorter_than_its_mark_is_kept():
    text = "def a():\n    pass\n\n\ndef b():\n    pass\n" + "# more\n" * 100

    shown_texts = Packing("Fix `b`.", (ContextFile("a.py", text),)).pack(1).files[0].text

    assert shown_texts.startswith("def a():\n    pass\n\n\ndef b():\n    pass\n")


def test_the_note_shortens_a_long_list_of_files():
    files = tuple(ContextFile(f"{n}.py", _module("x")) for n in range(12))

    note = Packing("Do `nothing_of_it`.", (*files, ContextFile("z.py", _module("nothing_of_it")))).pack(1).note

    assert note == "context: 1 file whole, 12 left out: 0.py, 1.py, 2.py, 3.py and 8 more"


@pytest.mark.parametrize(
    ("window", "output", "room"),
    [(8192, 400, 8192 - 800), (8192, 100, 8192 - 512), (8192, 3000, 8192 - 3000), (8192, 1500, 8192 - 2048)],
)
def test_the_room_for_a_prompt_leaves_space_for_the_answer(window: int, output: int, room: int):
    assert room_in(window, output) == room


@pytest.mark.parametrize(
    ("window", "least", "tokens"),
    [
        (None, 1_000, 20_000),  # the window is unknown
        (32_768, 1_000, 20_000),
        (20_400, 1_000, 20_000),
        (8_192, 1_000, 8_192 - 800),
        (8_192, 7_500, 7_500),  # less room for the answer than desired, but enough
        (8_192, 12_000, 12_000),
        (8_192, None, 20_000),
    ],
)
def test_the_expected_prompt_tokens_are_those_after_packing(window: int | None, least: int | None, tokens: int):
    constraints = Constraints(prompt_tokens=20_000, least_prompt_tokens=least)

    assert constraints.prompt_tokens_in(window, output_tokens=400) == tokens


SOURCES = st.sampled_from(
    (
        "import os\n",
        "def f(a):\n",
        "    return 1\n",
        "class A:\n",
        "    def m(self):\n",
        "        x = 1\n" * 20,
        "\n",
        "# note\n",
        "}\n",
        "X = [\n",
        "]\n",
        "no end",
        "ä = '→'\n",
    )
)
FILE_SETS = st.lists(
    st.tuples(st.sampled_from(("a.py", "b.ts", "c.md", "d.yaml")), st.lists(SOURCES, max_size=20).map("".join)),
    max_size=4,
).map(lambda files: tuple(ContextFile(f"{n}/{path}", text) for n, (path, text) in enumerate(files)))


@given(files=FILE_SETS, room=st.integers(0, 1_500), task=st.sampled_from(("Fix `A.m`.", "Go on.", "Mend f in a.py")))
@settings(deadline=None)
def test_packed_files_fit_their_room_and_contain_only_lines_of_the_original(
    files: tuple[ContextFile, ...], room: int, task: str
):
    packing = Packing(task, files)
    packed = packing.pack(room)

    assert packed.tokens <= max(room, packing.min_tokens)
    assert packed.tokens >= sum(estimate_tokens(file.text) for file in packed.files)
    by_path = {file.path: file for file in files}
    for file in packed.files:
        assert file.is_whole == (file.text == by_path[file.path].text)
        assert _restored(file.text, by_path[file.path].text.split("\n")) == by_path[file.path].text
    is_complete = packed.files == files
    assert (packed.note is None) == is_complete


def _restored(shown_texts: str, lines: list[str]) -> str:
    """The text with its gaps filled by the lines that their marks state."""
    restored: list[str] = []
    for line in shown_texts.split("\n"):
        gap = re.fullmatch(r"\[lines? (\d+)(?:-(\d+))? left out\]", line)
        restored += lines[int(gap[1]) - 1 : int(gap[2] or gap[1])] if gap else [line]
    return "\n".join(restored)
