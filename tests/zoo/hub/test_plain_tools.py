"""A published repository serves plain tools: timm, ONNX Runtime, hf; all by environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import dashzoo

from .server import Hub
from .server.hub import READ

REPO = "acme/waves"

TIMM = """
import json, sys
import dashzoo, timm, torch
torch.set_num_threads(1)
x = torch.linspace(-1, 1, 2 * 2 * 30).reshape(2, 2, 30)
net = timm.create_model("hf-hub:acme/waves@v1", pretrained=True).eval()
other = timm.create_model("hf-hub:acme/waves@v1", pretrained=True, num_classes=5).eval()
with torch.no_grad():
    ours = dashzoo.load("acme/waves@v1")(x)
    print(json.dumps([net(x).tolist(), ours.tolist(), list(other(x).shape)]))
"""

ONNX = """
import json, sys
import numpy as np, onnxruntime
from huggingface_hub import hf_hub_download
x = np.linspace(-1, 1, 2 * 2 * 30, dtype=np.float32).reshape(2, 2, 30)
path = hf_hub_download("acme/waves", "onnx/model.onnx", revision="v1")
session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
print(json.dumps(session.run(None, {"input": x})[0].tolist()))
"""


@pytest.fixture
def mirror(point_to, made_bundle):
    """A private copy behind a path prefix."""
    with Hub(prefix="/mirror") as server:
        point_to(server.url)
        dashzoo.publish(made_bundle, REPO, tag="v1", private=True)
        yield server


@pytest.fixture
def run(mirror, home):
    """Run a command that knows the server, the token and the cache by its environment alone."""

    def run(*words: str, **variables: str) -> str:
        told = {"HF_ENDPOINT": mirror.url, "HF_TOKEN": READ, "HF_HOME": str(home), **variables}
        path = os.pathsep.join(filter(None, sys.path))
        done = subprocess.run(
            words,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": path, "HF_HUB_DISABLE_XET": "1", **told},
        )
        assert done.returncode == 0, done.stderr
        if "dashzoo" in words:
            assert done.stderr == ""
        return done.stdout

    return run


def expected(bundle):
    x = torch.linspace(-1, 1, 2 * 2 * 30).reshape(2, 2, 30)
    with torch.no_grad():
        return dashzoo.load(bundle)(x)


def test_timm_and_again_offline(run, mirror, made_bundle):
    out = run(sys.executable, "-c", TIMM)
    by_timm, by_us, other = json.loads(out)
    assert torch.equal(torch.tensor(by_timm), expected(made_bundle))
    assert by_us == by_timm
    assert other == [2, 5]
    seen = len(mirror.exchanges)
    assert run(sys.executable, "-c", TIMM, HF_HUB_OFFLINE="1") == out
    assert len(mirror.exchanges) == seen


def test_onnx_runtime_on_the_file_alone(run, made_bundle):
    pytest.importorskip("onnxruntime")
    found = torch.tensor(json.loads(run(sys.executable, "-c", ONNX)))
    torch.testing.assert_close(found, expected(made_bundle), rtol=1e-4, atol=1e-4)


def test_hf_download(run, made_bundle, tmp_path):
    hf = Path(sys.executable).with_name("hf")
    if not hf.is_file():
        pytest.skip("hf is not beside this Python")
    run(str(hf), "download", REPO, "--revision", "v1", "--local-dir", str(tmp_path / "here"))
    for name in (made_bundle / "SHA256SUMS").read_text().splitlines():
        path = name.partition("  ")[2]
        assert (tmp_path / "here" / path).read_bytes() == (made_bundle / path).read_bytes()


def test_our_own_commands(run, mirror, home):
    dashzoo_command = (sys.executable, "-m", "dashzoo")
    told = json.loads(run(*dashzoo_command, "pull", f"{REPO}@v1", "--json"))
    assert Path(told["folder"]).is_relative_to(home)
    assert told["commit"] == mirror.repositories[REPO].at("v1").oid
    (row,) = json.loads(run(*dashzoo_command, "list", "--remote", "--json"))
    assert row["name"] == REPO
    again = json.loads(run(*dashzoo_command, "pull", f"{REPO}@v1", "--json", HF_HUB_OFFLINE="1"))
    assert again == told
