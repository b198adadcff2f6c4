"""`import dashzoo` and `dashzoo --help` are light, and lead to everything."""

from __future__ import annotations

import subprocess
import sys

import pytest

import dashzoo

HEAVY = "{'torch', 'timm', 'numpy', 'onnx', 'onnxruntime', 'rich', 'aeon', 'sklearn', 'matplotlib'}"


def python(code: str, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "code",
    [
        "import dashzoo",
        "import dashzoo; dir(dashzoo); dashzoo.__version__",
        "import dashzoo.cli",
        "from dashzoo.cli import cli; cli(['--help'], standalone_mode=False)",
        "from dashzoo.cli import cli; cli(['run', '--help'], standalone_mode=False)",
        "import dashzoo; dashzoo.KernelSpec; dashzoo.SearchSpace; dashzoo.DashzooError",
    ],
)
def test_light(code):
    out = python(f"{code}\nimport sys\nprint('heavy:', sorted({HEAVY} & set(sys.modules)))")
    assert out.splitlines()[-1] == "heavy: []"


def test_every_name_is_there():
    assert set(dir(dashzoo)) == {*dashzoo.__all__, "__version__"}
    for name in dashzoo.__all__:
        assert getattr(dashzoo, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        dashzoo.nothing  # noqa: B018


def test_help_names_every_command(command):
    outcome = command("--help")
    assert outcome.code == 0
    assert "\n  dashzoo run ucr/GunPoint --out runs/gunpoint\n" in outcome.out
    for name in ("run", "search", "train", "export", "card", "show", "predict", "publish"):
        assert f"\n  {name} " in outcome.out
        told = command(name, "--help")
        assert told.code == 0
        assert "--json" in told.out


def test_version(command):
    assert command("--version").out == f"dashzoo, version {dashzoo.__version__}\n"
