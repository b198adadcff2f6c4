"""A sample of timm's families through all stages of a search; all of them if slow tests run."""

from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"

# Depthwise, strided, grouped, mixed, dense, re-parameterised, multi-branch, channels last, blurs,
# functional pools, same padding, and one with windows of attention.
SAMPLE = (
    "test_resnet",
    "test_efficientnet",
    "test_byobnet",
    "test_convnext",
    "test_mambaout",
    "lcnet_035",
    "regnetx_002",
    "starnet_s050",
    "efficientvit_b0",
    "edgenext_xx_small",
    "ghostnet_050",
    "repghostnet_050",
)
EXPORTED = {("test_convnext", 1), ("test_resnet", 2)}


@pytest.fixture
def sweep(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import sweep

    return sweep


@pytest.mark.parametrize("dims", [1, 2])
@pytest.mark.parametrize("name", SAMPLE)
def test_a_family_goes_through_all_stages(sweep, name, dims):
    found = sweep.carry(name, dims, onnx=(name, dims) in EXPORTED)
    assert found["stage"] == "passed", found
    assert found["searched"] >= 5
    assert found["fold_error"] < 1e-5


@pytest.mark.parametrize(
    ("name", "dims", "stage"), [("test_nfnet", 2, "convert"), ("tresnet_m", 1, "create")]
)
def test_a_refusal_is_an_error_of_ours_with_a_reason(sweep, name, dims, stage):
    found = sweep.carry(name, dims, onnx=False)
    assert found["stage"] == stage
    assert found["refused"]
    assert name in found["reason"]


def test_the_page_says_what_was_found(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import backbones

    assert (backbones.DOCS / "backbones.md").read_text(encoding="utf-8") == backbones.page()


@pytest.mark.slow
def test_all_families_pass_the_bars(sweep, monkeypatch):
    rows = []
    for row in sweep.smallest_members():
        if row["overlapping"]:
            row |= {f"{dims}d": sweep.in_process(row["name"], dims) for dims in (2, 1)}
            rows.append(row)
    plain = [row for row in rows if not row["2d"].get("attention")]
    for dims, bar in ((2, 0.95), (1, 0.9)):
        passed = [row["name"] for row in plain if row[f"{dims}d"]["stage"] == "passed"]
        assert len(passed) >= bar * len(plain)
    for row in rows:
        for found in (row["1d"], row["2d"]):
            assert found["stage"] == "passed" or found.get("refused"), row
