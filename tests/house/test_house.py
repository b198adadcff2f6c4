"""The house itself: light imports, tidy files, one home a name, nothing private let out."""

import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dashzoo_cards.panel_overview import overview_table
from dashzoo_cards.panels import read_panels

ROOT = Path(__file__).parents[2]
ROOMS = {
    "dashzoo": "zoo",
    "dashzoo_search": "search",
    "dashzoo_export": "export",
    "dashzoo_cards": "cards",
}
SOURCES = sorted(
    path
    for folder in (*ROOMS.values(), "tests", "benchmarks", "examples")
    for path in (ROOT / folder).rglob("*.py")
)


def imported_by(statement: str) -> set[str]:
    code = f"import sys; {statement}; import json; print(json.dumps(sorted(sys.modules)))"
    path = os.pathsep.join(p for p in sys.path if p)
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    return set(json.loads(done.stdout))


def test_importing_dashzoo_is_light():
    heavy = {"torch", "timm", "numpy", "onnx", "matplotlib", "huggingface_hub", "rich", "aeon"}
    assert not heavy & imported_by("import dashzoo, dashzoo.cli")


def test_reading_and_drawing_cards_needs_no_torch():
    assert "torch" not in imported_by("import dashzoo_cards.render, dashzoo_cards.figures")


def test_every_public_name_is_where_the_front_door_says():
    import dashzoo

    for name in dashzoo.__all__:
        value = getattr(dashzoo, name)
        home = importlib.import_module(dashzoo._HOMES[name])
        assert value is getattr(home, name)
    assert set(dashzoo.__all__) == set(dashzoo._HOMES)
    with pytest.raises(AttributeError, match="nonsense"):
        _ = dashzoo.nonsense


@pytest.mark.parametrize("package", ROOMS)
def test_every_modules_all_is_true(package):
    for path in (ROOT / ROOMS[package] / package).rglob("*.py"):
        parts = path.relative_to(ROOT / ROOMS[package]).with_suffix("").parts
        if parts[-1] == "__main__":
            continue
        module = importlib.import_module(".".join(parts).removesuffix(".__init__"))
        for name in getattr(module, "__all__", ()):
            assert hasattr(module, name), f"{module.__name__}.{name}"


@pytest.mark.skipif(
    "DASHZOO_TESTED_FROM" not in os.environ, reason="only where the wheel is tested"
)
def test_the_tested_packages_are_the_wheels():
    site = Path(os.environ["DASHZOO_TESTED_FROM"])
    for package in ROOMS:
        assert site in Path(importlib.import_module(package).__file__).parents
    assert (site / "dashzoo_cards" / "templates").is_dir()
    assert (site / "dashzoo" / "py.typed").is_file()


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_files_are_short_and_say_what_they_are_for(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 300, "two things live here"
    assert not text.strip() or text.lstrip().startswith(('"""', 'r"""')), "no docstring"
    assert path.stem not in {"utils", "util", "common", "helpers", "misc"}


def test_no_file_in_git_is_large_or_a_pickle():
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a checkout")
    for name in filter(None, listed.stdout.split("\0")):
        path = ROOT / name
        if path.is_file():
            assert path.stat().st_size < 2_000_000, name
            assert path.suffix not in {".pkl", ".pt", ".pth", ".bin", ".ckpt"}, name


def test_every_number_in_the_tables_of_results_is_in_their_files():
    page = (ROOT / "docs" / "results" / "README.md").read_text()
    sys.path.insert(0, str(ROOT / "benchmarks"))
    try:
        names = ("accuracy", "headroom", "panels")
        accuracy, headroom, panels = map(importlib.import_module, names)
    finally:
        sys.path.pop(0)
    rows = json.loads(accuracy.RESULTS.read_text())
    assert accuracy.table(rows) in page
    assert headroom.table(json.loads(headroom.RESULTS.read_text())["problems"]) in page
    assert overview_table(read_panels(panels.RESULTS)) in page


def test_the_table_of_xd_operations_is_that_of_the_results():
    table = overview_table(read_panels(ROOT / "docs" / "results" / "xd"))
    assert table in (ROOT / "docs" / "xd.md").read_text()


def test_links_in_the_documents_lead_somewhere():
    for document in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
            if not target.startswith(("http", "mailto")):
                assert (document.parent / target).exists(), f"{document.name}: {target}"
