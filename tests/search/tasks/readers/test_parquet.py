"""Parquet: types that only it has, an index of pandas, and files that are damaged."""

from __future__ import annotations

import numpy as np
import pytest

from dashzoo_search.errors import BadData
from dashzoo_search.tasks import DataOptions
from dashzoo_search.tasks.load import load_file

pandas = pytest.importorskip("pandas")
pytest.importorskip("pyarrow")

N = 12
WIDE = pandas.DataFrame(
    np.random.default_rng(0).standard_normal((N, 6)), columns=[f"v{i}" for i in range(6)]
).assign(label=["a", "b", "c"] * 4)


def test_decimals_and_truths(tmp_path):
    from decimal import Decimal

    frame = WIDE.assign(v0=[Decimal(i) / 4 for i in range(N)], v5=[True, None, False] * 4)
    frame.to_parquet(tmp_path / "mine.parquet")
    options = DataOptions(lengths="pad")
    task = load_file(tmp_path / "mine.parquet", seed=0, options=options)
    X = np.concatenate([part.X for part in (task.train, task.val, task.test.open())])
    assert sorted(X[:, 0, 0]) == [i / 4 for i in range(N)]
    assert sorted(X[:, 1, 5]) == [0] * 4 + [1] * 8
    WIDE.assign(label=frame.v0).to_parquet(tmp_path / "mine.parquet")
    assert load_file(tmp_path / "mine.parquet", seed=0).kind == "regression"


def test_two_columns_of_a_name_in_parquet(tmp_path):
    import pyarrow.parquet

    table = pyarrow.table([[1.0] * 6, [0, 1] * 3, [0, 1] * 3], names=["v", "label", "label"])
    pyarrow.parquet.write_table(table, tmp_path / "mine.parquet")
    with pytest.raises(BadData, match="two columns called label"):
        load_file(tmp_path / "mine.parquet", seed=0)


def test_an_index_in_parquet(tmp_path):
    path = tmp_path / "mine.parquet"
    WIDE.assign(v2=[1.0] * 9 + [None] + [1.0] * 2).set_index(WIDE.index[::-1]).to_parquet(path)
    with pytest.raises(BadData, match="in column v2, row 10"):
        load_file(path, seed=0)
    WIDE.set_index(pandas.Index([f"row {i}" for i in range(N)])).to_parquet(path)
    assert load_file(path, seed=0).size == (6,)
    rows = np.arange(40)
    frame = pandas.DataFrame(
        {"who": rows // 5, "t": rows % 5, "u": rows * 0.5, "label": rows // 5 % 2}
    )
    frame.set_index(["who", "t"]).to_parquet(path)
    assert load_file(path, seed=0, options=DataOptions(id="who", time="t")).size == (5,)


def test_bytes_are_no_labels(tmp_path):
    WIDE.assign(label=[b"a", b"b", b"c"] * 4).to_parquet(tmp_path / "mine.parquet")
    with pytest.raises(BadData, match="holds bytes in column label"):
        load_file(tmp_path / "mine.parquet", seed=0)


@pytest.mark.parametrize("keep", [0, 10, 0.5])
def test_damaged_parquet(tmp_path, keep):
    path = tmp_path / "mine.parquet"
    WIDE.to_parquet(path)
    data = path.read_bytes()
    path.write_bytes(data[: keep if isinstance(keep, int) else int(keep * len(data))])
    with pytest.raises(BadData, match=r"mine\.parquet is no whole Parquet file"):
        load_file(path, seed=0)


def test_declared_beyond_memory(tmp_path, monkeypatch):
    from dashzoo_search.tasks.readers import bounds

    path = tmp_path / "mine.parquet"
    WIDE.to_parquet(path)
    monkeypatch.setattr(bounds, "machine_memory", lambda: 500)
    with pytest.raises(BadData, match=r"mine\.parquet declares .* \.npy files"):
        load_file(path, seed=0)
