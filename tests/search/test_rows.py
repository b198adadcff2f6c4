"""Rows of arrays on disk, against the same done in memory, and a file larger than the memory."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashzoo_search.rows import Rows, blocks, join, take, whole

ARRAY = np.arange(40).reshape(10, 2, 2)


def on_disk(array):
    return Rows.of(array).map(lambda block: block * 2)


@given(
    st.lists(st.integers(0, 9), max_size=12),
    st.lists(st.integers(0, 9), min_size=1, max_size=12),
    st.data(),
)
def test_as_in_memory(first, second, data):
    rows = join(take(on_disk(ARRAY), np.array(first, int)), take(on_disk(ARRAY), np.array(second)))
    held = join(take(ARRAY * 2, np.array(first, int)), take(ARRAY * 2, np.array(second)))
    assert (rows.shape, len(rows), rows.ndim, rows.nbytes) == (
        held.shape, len(held), held.ndim, held.nbytes,
    )  # fmt: skip
    np.testing.assert_array_equal(whole(rows), held)
    index = np.array(data.draw(st.lists(st.integers(0, len(held) - 1), max_size=9)), int)
    np.testing.assert_array_equal(rows[index], held[index])
    np.testing.assert_array_equal(rows[1:3], held[1:3])
    np.testing.assert_array_equal(rows[-1], held[-1])
    mask = held[:, 0, 0] % 3 == 0
    np.testing.assert_array_equal(whole(rows.take(mask)), held[mask])


def test_join_of_memory_and_disk():
    rows = join(ARRAY, Rows.of(ARRAY))
    assert isinstance(rows, Rows)
    np.testing.assert_array_equal(whole(rows), np.concatenate([ARRAY, ARRAY]))


def test_blocks_are_all_of_it_in_order(monkeypatch):
    monkeypatch.setattr("dashzoo_search.rows.BLOCK_BYTES", 3 * ARRAY[0].nbytes)
    for array in (ARRAY, Rows.of(ARRAY)):
        parts = list(blocks(array))
        assert [len(part) for part in parts] == [3, 3, 3, 1]
        np.testing.assert_array_equal(np.concatenate(parts), ARRAY)


def test_only_what_is_asked_for_is_read():
    asked = []

    class Source:
        shape, dtype = ARRAY.shape, ARRAY.dtype

        def __getitem__(self, index):
            asked.extend(index.tolist())
            return ARRAY[index]

    rows = Rows.of(Source()).take(np.array([7, 2, 5, 2])).map(np.negative)
    assert asked == []
    np.testing.assert_array_equal(rows[np.array([3, 0])], -ARRAY[[2, 7]])
    assert asked == [2, 7]


EPOCH = """
import resource, sys
import numpy as np, torch
from torch import nn
from dashzoo_search.networks.preprocess import Preprocess
from dashzoo_search.rows import whole
from dashzoo_search.tasks import Split, load_task
from dashzoo_search.training.loop import fit
from dashzoo_search.training.recipe import Recipe

recipe, generator = Recipe(epochs=1, batch_size=32), torch.Generator().manual_seed(0)

def train(split, val):
    net = nn.Sequential(Preprocess(1, 1), nn.Flatten(), nn.Linear(split.X.shape[2], 2))
    net[0].fit(split.X)
    return fit(net, split, val, recipe, generator=generator)

small = Split(np.zeros((8, 1, 4), np.float32), np.arange(8) % 2)
train(small, small)
kib = next(int(l.split()[1]) for l in open("/proc/self/status") if l.startswith("VmData"))
resource.setrlimit(resource.RLIMIT_DATA, (kib * 1024 + 64 * 2**20,) * 2)
task = load_task(sys.argv[1])
train(task.train, task.val)
pool = task.train.join(task.val)
assert pool.X.nbytes > 2 * 64 * 2**20
try:
    whole(pool.X)
except MemoryError:
    print("trained; too large for memory")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits and their measure are Linux's")
def test_a_file_larger_than_the_memory_allowed_is_trained_on(tmp_path):
    X = np.lib.format.open_memmap(tmp_path / "X.npy", "w+", np.uint8, (3000, 1, 2**14))
    X[::2, :, :9] = 1
    X.flush()
    np.save(tmp_path / "y.npy", np.arange(3000) % 2)
    done = subprocess.run(
        [sys.executable, "-c", EPOCH, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.stdout == "trained; too large for memory\n", done.stderr
