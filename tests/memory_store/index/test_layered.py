"""The layered index: after any additions, removals and settling, both layers answer as one index."""

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from index_rows import vectors

from chargehand.memory_store.index.exact import ExactIndex
from chargehand.memory_store.index.layered import LayeredIndex

VECTORS = vectors(12)
a_number = st.integers(0, len(VECTORS) - 1)
an_operation = st.one_of(
    st.tuples(st.just("add"), a_number),
    st.tuples(st.just("remove"), a_number),
    st.tuples(st.just("settle"), a_number),
    st.tuples(st.just("ask"), a_number),
)


class YieldingIndex(ExactIndex):
    """Yields to other tasks before and after each call, as Chroma's thread does."""

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
def test_a_layered_index_answers_like_a_plain_one(operations):
    anyio.run(run_operations, operations)


async def run_operations(operations) -> None:
    layered, plain = LayeredIndex(YieldingIndex()), ExactIndex()
    async with anyio.create_task_group() as group:
        for operation, number in operations:
            ids, vector = [str(number)], VECTORS[number]
            if operation == "settle":
                group.start_soon(layered.settle)
                await anyio.lowlevel.checkpoint()
            elif operation == "ask":
                layered_matches, plain_matches = await layered.nearest(vector, 3), await plain.nearest(vector, 3)
                assert [match.id for match in layered_matches] == [match.id for match in plain_matches]
                assert [m.similarity for m in layered_matches] == pytest.approx(
                    [m.similarity for m in plain_matches], abs=1e-5
                )
            else:
                for index in (layered, plain):
                    await (index.add(ids, vector[None]) if operation == "add" else index.remove(ids))
    await layered.settle()

    assert layered.pending == 0
    assert await layered.ids() == await layered.base.ids() == await plain.ids()


@pytest.mark.anyio
async def test_a_removal_makes_settling_due_and_a_few_additions_do_not():
    layered = LayeredIndex(ExactIndex())
    await layered.add([str(number) for number in range(len(VECTORS))], VECTORS)
    due_after_adding = layered.is_due
    await layered.remove(["3"])

    assert (due_after_adding, layered.is_due) == (False, True)
