"""CSV and Parquet: what becomes of rows and columns, and what each fault is called."""

from __future__ import annotations

import numpy as np
import pytest

from dashzoo_search.errors import BadData
from dashzoo_search.tasks import DataOptions
from dashzoo_search.tasks.load import load_file

pandas = pytest.importorskip("pandas")
pytest.importorskip("pyarrow")

N = 12
rng = np.random.default_rng(0)
WIDE = pandas.DataFrame(
    {**{f"v{i}": rng.standard_normal(N) for i in range(6)}, "label": ["a", "b", "c"] * 4}
)


def long(lengths, *, value=None, **columns):
    """Rows of samples of those lengths; each column is a function of sample and moment."""
    told = columns or {"label": lambda i, t: "ab"[i % 2]}
    rows = [
        {"who": f"p{i}", "t": t, "u": value(i, t) if value else i + t / 100, "v": -t}
        | {name: of(i, t) for name, of in told.items()}
        for i, length in enumerate(lengths)
        for t in range(length)
    ]
    return pandas.DataFrame(rows)


@pytest.fixture(params=["csv", "parquet"])
def read(request, tmp_path):
    def read(frame, seed=0, **options):
        path = tmp_path / f"mine.{request.param}"
        if request.param == "csv":
            frame.to_csv(path, index=False)
        else:
            frame.to_parquet(path, index=False)
        return load_file(path, seed=seed, options=DataOptions(**options))

    return read


def everything(task):
    parts = (task.train, task.val, task.test.open())
    X = np.concatenate([part.X for part in parts])
    y = np.concatenate([part.y for part in parts])
    return X, y


class TestWide:
    def test_a_row_is_a_sample(self, read):
        task = read(WIDE)
        X, y = everything(task)
        assert (task.kind, task.name) == ("classification", "mine")
        assert (task.channels, task.size, task.classes) == (1, (6,), ("a", "b", "c"))
        wanted = {
            (WIDE.iloc[i, :6].to_numpy(np.float32).tobytes(), WIDE.label[i]) for i in range(N)
        }
        assert {(x.tobytes(), task.classes[label]) for x, label in zip(X, y, strict=True)} == wanted

    def test_channels_divide_the_columns(self, read):
        task = read(WIDE, channels=2)
        X, _ = everything(task)
        first = WIDE.iloc[0, :6].to_numpy(np.float32).reshape(2, 3)
        assert any(np.array_equal(x, first) for x in X)

    def test_the_last_column_or_the_one_named(self, read):
        frame = WIDE.rename(columns={"label": "species"})
        assert read(frame).classes == ("a", "b", "c")
        moved = frame[["species", *frame.columns[:6]]]
        assert read(moved, target="species").classes == ("a", "b", "c")

    def test_several_targets_are_a_regression(self, read):
        task = read(WIDE.drop(columns="label"), target=("v4", "v5"))
        assert (task.kind, task.classes, task.channels, task.size) == (
            "regression", ("v4", "v5"), 1, (4,),
        )  # fmt: skip
        assert task.train.y.shape[1] == 2
        assert task.guessed

    def test_given_splits(self, read):
        part = ["train"] * 6 + ["Test"] * 3 + ["validation"] * 3
        task = read(WIDE.assign(part=part), split_column="part")
        assert (len(task.train), len(task.val), len(task.test)) == (6, 3, 3)
        np.testing.assert_allclose(
            task.test.open().X[:, 0], WIDE.iloc[6:9, :6].to_numpy(), rtol=1e-6
        )

    def test_groups_stay_together(self, read):
        patients = np.arange(N) // 2
        frame = WIDE.assign(patient=patients, v0=patients, label=["a", "b"] * 6)
        for seed in range(4):
            task = read(frame, seed=seed, groups="patient")
            sides = [set(part.X[:, 0, 0]) for part in (task.train, task.val, task.test.open())]
            assert sum(map(len, sides)) == len(set.union(*sides)) == N // 2
            assert all(sides)

    def test_time_orders_the_rows(self, read):
        frame = WIDE.assign(day=np.arange(N)[::-1], v0=np.arange(N)[::-1], label=["a", "b"] * 6)
        task = read(frame, split="time", time="day")
        train, val, test = task.train.X[:, 0, 0], task.val.X[:, 0, 0], task.test.open().X[:, 0, 0]
        assert train.max() < val.min()
        assert val.max() < test.min()
        assert "last fifth" in task.source

    def test_times_of_day_and_dates_are_no_text(self, read):
        for name, moment in (
            ("clock", lambda i: f"{8 + i}:30:00"),  # 8:30 comes before 10:30
            ("date", lambda i: f"2024-{1 + i:02d}-01T12:00:00+0{i % 3}:00"),
            ("number", lambda i: f"{i}"),
        ):
            order = np.random.default_rng(0).permutation(N)
            frame = WIDE.assign(v0=order, label=["a", "b"] * 6, **{name: [*map(moment, order)]})
            task = read(frame, split="time", time=name)
            parts = (task.train, task.val, task.test.open())
            assert np.concatenate([part.X[:, 0, 0] for part in parts]).tolist() == list(range(N))


class TestLong:
    def test_ids_and_times(self, read):
        frame = long([5] * 8).sample(frac=1, random_state=0)
        task = read(frame, id="who", time="t")
        X, y = everything(task)
        assert (task.channels, task.size, task.classes) == (2, (5,), ("a", "b"))
        for x, label in zip(X, y, strict=True):
            i = round(float(x[0, 0]))
            assert label == i % 2
            np.testing.assert_allclose(x, [i + np.arange(5) / 100, -np.arange(5)], rtol=1e-6)

    def test_unequal_lengths_want_a_word(self, read):
        frame = long([3, 5, 4, 5] * 3)
        with pytest.raises(BadData, match="3 to 5 long; say --lengths pad or --lengths resample"):
            read(frame, id="who", time="t")
        X, _ = everything(read(frame, id="who", time="t", lengths="pad"))
        assert X.shape == (12, 3, 5)
        for x in X:
            length = [3, 5, 4, 5][round(float(x[0, 0])) % 4]
            np.testing.assert_array_equal(x[2], np.arange(5) < length)
            assert (x[:, length:] == 0).all()
        X, _ = everything(read(frame, id="who", time="t", lengths="resample", size=9))
        assert X.shape == (12, 2, 9)
        for x in X:
            length = [3, 5, 4, 5][round(float(x[0, 0])) % 4]
            np.testing.assert_allclose(x[1], -np.linspace(0, length - 1, 9), atol=1e-6)

    def test_samples_are_in_order_of_time_whatever_their_ids(self, read):
        begins = np.random.default_rng(0).permutation(20)
        frame = long([4] * 20, value=lambda i, t: float(begins[i]))
        frame["t"] += 10 * begins[frame.who.str[1:].astype(int)]
        task = read(frame, id="who", time="t", split="time")
        train, val, test = (part.X[:, 0, 0] for part in (task.train, task.val, task.test.open()))
        assert train.max() < val.min()
        assert val.max() < test.min()

    def test_a_label_a_moment_is_dense(self, read):
        frame = long([4, 3] * 5, state=lambda i, t: int(t > 1), value=lambda i, t: float(t))
        task = read(frame, id="who", time="t", target="state", lengths="pad")
        assert (task.kind, task.dense, task.outputs) == ("dense_labels", True, 2)
        _, y = everything(task)
        assert {tuple(row) for row in y.tolist()} == {(0, 0, 1, 1), (0, 0, 1, -1)}

    def test_a_number_a_moment(self, read):
        frame = long([4] * 10, state=lambda i, t: i + t / 8)
        task = read(frame, id="who", time="t", target="state")
        assert (task.kind, task.train.y.shape[1:]) == ("dense_regression", (1, 4))


class TestFaults:
    @pytest.mark.parametrize(
        ("frame", "options", "named"),
        [
            (WIDE, {"target": "weight"}, "has no column weight; it has v0"),
            (WIDE, {"channels": 4}, "6 columns of mine.* no 4 channels"),
            (WIDE.assign(v2=["0.5"] * 11 + ["x"]), {}, "holds 'x' in column v2, row 12"),
            (WIDE.assign(label=[None, *["a"] * 11]), {}, "no value in column label, row 1"),
            (WIDE.assign(v1=[*range(4), np.nan, *range(7)]), {}, "lacks a number in column v1"),
            (WIDE.assign(v1=[np.inf, *range(11)]), {}, "holds inf in column v1, row 1"),
            (
                WIDE.assign(label=[*range(6), np.inf, *range(5)]),
                {"kind": "regression"},
                "holds inf in column label, row 7",
            ),
            (WIDE[:0], {}, "has no rows"),
            (WIDE[["label"]], {}, "no column of numbers"),
            (WIDE.assign(target=1), {}, "Both label and target"),
            (WIDE.assign(s=["train"] * 11 + ["dev"]), {"split_column": "s"}, "the split dev"),
            (WIDE.assign(s="train"), {"split_column": "s"}, "no row whose split is test"),
            (WIDE.assign(g=1), {"groups": "g"}, "of one group"),
            (
                long([3] * 6, label=lambda i, t: "ab"[t % 2]),
                {"id": "who", "time": "t", "kind": "classification"},
                "id p0 more than one label",
            ),
            (
                long([3] * 6, label=lambda i, t: i % 2, g=lambda i, t: t),
                {"id": "who", "time": "t", "groups": "g"},
                "id p0 more than one group;",
            ),
            (
                long([3] * 6, value=lambda i, t: np.nan if (i, t) == (4, 1) else 0.0),
                {"id": "who", "time": "t"},
                "lacks a number for the id p4 in row 14",
            ),
            (
                long([3] * 6, value=lambda i, t: np.inf if (i, t) == (4, 1) else 0.0),
                {"id": "who", "time": "t"},
                "holds an infinite number for the id p4 in row 14",
            ),
            (
                WIDE.assign(v1=[*range(7), np.inf, *range(4)], s=["train", "test"] * 6),
                {"split_column": "s"},
                "holds inf in column v1, row 8",
            ),
            (
                WIDE.assign(v1=[*range(7), np.nan, *range(4)], t=range(N, 0, -1)),
                {"time": "t"},
                "lacks a number in column v1, row 8",
            ),
            (
                WIDE.drop(columns="label").assign(v0=[*range(7), -np.inf, *range(4)]),
                {"target": ("v0", "v1")},
                "holds -inf in column v0, row 8",
            ),
            (
                long([3] * 6, label=lambda i, t: "ab"[t % 2]),
                {"id": "who", "time": "t"},
                "no numbers and change within the id p0",
            ),
            (
                WIDE.rename(columns={"label": "b"}),
                {},
                "no line of names, as its last column is called b",
            ),
            (
                long([3] * 6).astype({"t": float}).replace({"t": {1.0: None}}),
                {"id": "who", "time": "t"},
                "no value in column t, row 2",
            ),
            (
                long([3] * 6).assign(t=lambda rows: [f"t{t}" for t in rows.t]),
                {"id": "who", "time": "t"},
                "holds 't0' in column t, row 1; give numbers, or dates",
            ),
            (
                WIDE.assign(day=[f"{i % 4 + 1}/12/{2020 + i // 4}" for i in range(N)]),
                {"time": "day", "split": "time"},
                "holds '1/12/2020' in column day, row 1",
            ),
            (
                pandas.concat([long([3] * 6), long([3])]),
                {"id": "who", "time": "t"},
                "id p0 two rows of the t 0, the second being row 19",
            ),
        ],
    )  # fmt: skip
    def test_named(self, read, frame, options, named):
        with pytest.raises(BadData, match=named) as caught:
            read(frame, **options)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 250

    def test_options_of_tables_are_refused_elsewhere(self, save, good):
        with pytest.raises(BadData, match="leave --target out"):
            load_file(save(**good()), seed=0, options=DataOptions(target="y"))
