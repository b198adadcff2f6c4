"""Files made to harm: whatever their bytes, a task or one sentence, and no memory beyond bounds."""

from __future__ import annotations

import contextlib
import json
import sys
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dashzoo_search.errors import BadData, MissingRuntime
from dashzoo_search.tasks.load import load_file
from dashzoo_search.tasks.readers import bounds

QUICK = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40
)


def damaged(data, content: bytes) -> bytes:
    content = bytearray(content)
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    return bytes(content)


@pytest.fixture
def frame():
    pandas = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    values = {f"v{i}": rng.standard_normal(12) for i in range(3)}
    return pandas.DataFrame({**values, "label": ["a", "b"] * 6})


@QUICK
@given(st.data())
def test_any_csv(tmp_path, frame, data):
    path = tmp_path / "mine.csv"
    path.write_bytes(damaged(data, frame.to_csv(index=False).encode()))
    with contextlib.suppress(BadData):
        load_file(path, seed=0)


@QUICK
@given(st.data())
def test_any_parquet(tmp_path, frame, data):
    pytest.importorskip("pyarrow")
    path = tmp_path / "mine.parquet"
    frame.to_parquet(path)
    path.write_bytes(damaged(data, path.read_bytes()))
    with contextlib.suppress(BadData):
        load_file(path, seed=0)


@QUICK
@given(st.data())
def test_any_mapped_array(tmp_path, data):
    np.save(tmp_path / "X.npy", np.random.default_rng(0).standard_normal((12, 1, 5)))
    np.save(tmp_path / "y.npy", np.arange(12) % 2)
    path = tmp_path / data.draw(st.sampled_from(["X.npy", "y.npy"]))
    path.write_bytes(damaged(data, path.read_bytes()))
    with contextlib.suppress(BadData):
        load_file(tmp_path, seed=0)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("shape", [2**60, 1, 5]),
        ("shape", [-1, 1, 5]),
        ("shape", "many"),
        ("data_type", "object"),
        ("codecs", []),
        ("chunk_grid", {}),
    ],
)
def test_any_zarr(tmp_path, field, value):
    zarr = pytest.importorskip("zarr")
    group = zarr.open_group(str(tmp_path / "mine.zarr"), mode="w", zarr_format=3)
    group.create_array("X", shape=(12, 1, 5), dtype="f4", chunks=(4, 1, 5))[:] = 1.5
    group.create_array("y", shape=(12,), dtype="i8")[:] = np.arange(12) % 2 + 1
    path = tmp_path / "mine.zarr" / "X" / "zarr.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {field: value}))
    with pytest.raises(BadData, match=r"mine\.zarr"):
        load_file(tmp_path / "mine.zarr", seed=0)


def test_an_archive_that_unpacks_beyond_memory(tmp_path, monkeypatch):
    path = tmp_path / "mine.npz"
    np.savez_compressed(path, X=np.zeros((100, 1, 1000)), y=np.arange(100) % 2)
    with zipfile.ZipFile(path) as archive:
        assert archive.getinfo("X.npy").compress_size < 10_000
    monkeypatch.setattr(bounds, "machine_memory", lambda: 1_000_000)
    with pytest.raises(BadData, match=r"X in mine\.npz declares .* save X and y as \.npy"):
        load_file(path, seed=0)


@pytest.mark.parametrize(
    ("name", "module", "package"),
    [
        ("mine.csv", "pandas", "pandas"),
        ("mine.parquet", "pyarrow.parquet", "pandas or pyarrow"),
        ("mine.zarr", "zarr", "zarr"),
        ("saved", "datasets", "datasets"),
        ("pets", "PIL", "Pillow"),
    ],
)
def test_without_the_extra(tmp_path, monkeypatch, name, module, package):
    marks = {"mine.zarr": "zarr.json", "saved": "dataset_info.json", "pets": "cat/1.png"}
    file = tmp_path / name / marks[name] if name in marks else tmp_path / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingRuntime) as caught:
        load_file(tmp_path / name, seed=0)
    assert (caught.value.package, caught.value.extra) == (package, "data")
