"""The lines of a CSV file: which are read all the same, and what faults are called."""

from __future__ import annotations

import pytest

from dashzoo_search.errors import BadData
from dashzoo_search.tasks.load import load_file

pytest.importorskip("pandas")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (b"a,b,label\n1,2,x\n1,2,3,y\n", "line 3"),
        (b"a,label\n1,x\n\x00,y\n", "mine.csv"),
        (b"", "it is empty; give a line of names"),
        (b"\xff\xfe\x00a,b\n", "save it as UTF-8"),
        (b"a;b;label\n1;2;x\n", "by semicolons; save it with commas"),
        (b"a;label\n1,5;x\n2,5;y\n", "by semicolons; save it with commas"),
        (b"a\tlabel\n1\tx\n", "by tabs"),
        (b"a,label\n1,x,7\n2,y,8\n", "more values than the 2 names in line 2"),
        (b"a,label\n1,x,7\n2,y\n", "more values than the 2 names in line 2"),
        (b"a,a,label\n1,2,x\n", "two columns called a; rename one"),
        (b"a,label, label\n1,x,x\n", "two columns called label"),
    ],
)
def test_damaged_csv(tmp_path, text, named):
    (tmp_path / "mine.csv").write_bytes(text)
    with pytest.raises(BadData, match=named):
        load_file(tmp_path / "mine.csv", seed=0)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "change",
    [
        lambda text: b"\xef\xbb\xbf" + text,
        lambda text: text.replace(b"\n", b"\r\n"),
        lambda text: text.replace(b",", b", "),
        lambda text: text.replace(b"\n", b",\n").replace(b",\n", b"\n", 1),
    ],
    ids=["BOM", "CRLF", "spaces", "trailing commas"],
)
def test_read_all_the_same(tmp_path, change):
    text = b"label,v,w\n" + b"".join(b"%c,%d,%d\n" % (97 + i % 3, i, i * i) for i in range(12))
    (tmp_path / "mine.csv").write_bytes(text)
    wanted = load_file(tmp_path / "mine.csv", seed=0)
    (tmp_path / "mine.csv").write_bytes(change(text))
    assert load_file(tmp_path / "mine.csv", seed=0).sha256 == wanted.sha256


def test_a_line_too_long_is_named_in_a_file_that_is_no_utf8_too(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_bytes(b"\x000\x80v1,label\n" + b"1,2,a\n1,2,b\n" * 6)
    with pytest.raises(BadData, match=r"mine\.csv"):
        load_file(path, seed=0)
