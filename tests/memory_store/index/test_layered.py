"""The layer over an index: whatever is put in, taken out and moved down, both together are one index."""

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from index_rows import vectors

from chargehand.memory_store.index.exact import ExactIndex
from chargehand.memory_store.index.layered import LayeredIndex

SOME = vectors(12)
a_number = st.integers(0, len(SOME) - 1)
an_operation = st.one_of(
    st.tuples(st.just("add"), a_number),
    st.tuples(st.just("remove"), a_number),
    st.tuples(st.just("settle"), a_number),
    st.tuples(st.just("ask"), a_number),
)


class Yielding(ExactIndex):
    """Lets others run before and after each call, as Chroma's thread does."""

    async def add(self, ids, vectors) -> None:
        await anyio.lowlevel.checkpoint()
        await super().add(ids, vectors)
        await anyio.lowlevel.checkpoint()

    async def remove(self, ids) -> None:
        await anyio.lowlevel.checkpoint()
        await super().remove(ids)
        await anyio.lowlevel.checkpoint()

    async def nearest(self, vector, count):
        await anyio.lowlevel.checkpoint()
        found = await super().nearest(vector, count)
        await anyio.lowlevel.checkpoint()
        return found


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(operations=st.lists(an_operation, max_size=30))
def test_it_answers_as_one_index_would(operations):
    anyio.run(play, operations)


async def play(operations) -> None:
    layered, plain = LayeredIndex(Yielding()), ExactIndex()
    async with anyio.create_task_group() as group:
        for what, number in operations:
            ids, vector = [str(number)], SOME[number]
            if what == "settle":
                group.start_soon(layered.settle)
                await anyio.lowlevel.checkpoint()
            elif what == "ask":
                ours, theirs = await layered.nearest(vector, 3), await plain.nearest(vector, 3)
                assert [match.id for match in ours] == [match.id for match in theirs]
                assert [m.similarity for m in ours] == pytest.approx([m.similarity for m in theirs], abs=1e-5)
            else:
                for index in (layered, plain):
                    await (index.add(ids, vector[None]) if what == "add" else index.remove(ids))
    await layered.settle()

    assert layered.pending == 0
    assert await layered.ids() == await layered.base.ids() == await plain.ids()


@pytest.mark.anyio
async def test_a_few_new_ones_wait_for_more_and_what_was_forgotten_does_not():
    layered = LayeredIndex(ExactIndex())
    await layered.add([str(number) for number in range(len(SOME))], SOME)
    waits = layered.is_due
    await layered.remove(["3"])

    assert (waits, layered.is_due) == (False, True)
