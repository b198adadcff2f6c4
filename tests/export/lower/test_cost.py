"""What is counted, what is chosen, and the table the constants are kept in."""

import dataclasses
import json

import pytest
import torch
from click.testing import CliRunner
from torch.utils.flop_counter import FlopCounterMode

from dashzoo.cli import cli
from dashzoo_export.lower import DFTMatmulConv, LoweringCosts, lowering_costs
from dashzoo_export.lower import calibration as room
from dashzoo_export.lower.calibration import calibrate, cases
from dashzoo_export.lower.cost import MARGIN, best_plan, choose, direct_work, matmul_work
from dashzoo_export.lower.plan import plans
from dashzoo_export.lower.plane import PlaneConv
from dashzoo_export.lower.table import add_to_table, load_lowering_costs, read_table
from dashzoo_search.errors import BadCosts
from dashzoo_search.ops import load_costs
from dashzoo_search.ops.costs import reset_costs


def conv_of(size, k, groups=1, channels=4):
    kernel = tuple(k if n > 1 else 1 for n in size)
    before = tuple(n // 2 for n in kernel)
    return PlaneConv(
        ins=channels,
        outs=channels,
        size=size,
        out=size,
        kernel=kernel,
        before=before,
        groups=groups,
    )


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("size", [(1, 90), (12, 14)])
def test_multiply_accumulates_are_counted_as_they_are_done(size, groups):
    conv = conv_of(size, 9, groups)
    weight = torch.randn(4, 4 // groups, *conv.kernel)
    for plan in list(plans(conv))[:5]:
        made = DFTMatmulConv(weight, None, conv, plan)
        with FlopCounterMode(display=False) as counter:
            made(torch.randn(3, 4, *size))
        work = matmul_work(conv, plan, batch=3)
        assert counter.get_total_flops() == 2 * (work["transform_mac"] + work["mix_mac"])
        held = sum(b.nbytes for b in made.buffers())
        assert work["constant"] == held


def test_direct_work_is_what_torch_does():
    conv = conv_of((1, 90), 9, channels=16)
    layer = torch.nn.Conv2d(16, 16, (1, 9), padding=(0, 4))
    with FlopCounterMode(display=False) as counter:
        layer(torch.randn(3, 16, 1, 90))
    assert counter.get_total_flops() == 2 * direct_work(conv, batch=3)["row_mac"]


def test_a_transform_must_be_clearly_cheaper():
    conv = conv_of((1, 1000), 101)
    plan = best_plan(conv, LoweringCosts())
    assert plan is not None
    none = dataclasses.replace(
        LoweringCosts(), **dict.fromkeys(dataclasses.asdict(LoweringCosts()), 0.0)
    )
    for direct, form in ((MARGIN * 0.99, "conv"), (MARGIN * 1.01, "dft_matmul")):
        costs = dataclasses.replace(none, dft_start=1.0, start=direct)
        assert choose(conv, "auto", costs).form == form


def test_small_and_dilated_stay_direct_and_huge_does_not():
    costs = LoweringCosts()
    dilated = dataclasses.replace(conv_of((1, 1000), 11, channels=32), dilation=(1, 127))
    dilated = dataclasses.replace(dilated, before=(0, 635))
    assert choose(dilated, "auto", costs).form == "conv"
    assert choose(conv_of((64, 64), 3, channels=32), "auto", costs).form == "conv"
    assert choose(conv_of((1, 1000), 1001, channels=32), "auto", costs).form == "dft_matmul"
    assert choose(conv_of((64, 64), 63, channels=32), "auto", costs).form == "dft_matmul"


def test_a_spectrum_beyond_the_limit_is_no_choice():
    layer = choose(conv_of((1, 4096), 2047, channels=512), "auto", LoweringCosts())
    assert layer.form == "conv"
    assert "64 MB" in layer.reason


ENTRY = {"costs": {**dataclasses.asdict(LoweringCosts()), "start": 0.5}}


def test_the_table_is_read_where_the_variable_says(tmp_path, monkeypatch):
    path = tmp_path / "costs.json"
    path.write_text(json.dumps(add_to_table(None, "cpu", ENTRY)))
    assert lowering_costs() == LoweringCosts()
    monkeypatch.setenv("DASHZOO_COSTS", str(path))
    assert lowering_costs().start == 0.5
    assert lowering_costs("cuda").start == 0.5  # nothing better is known
    more = {"costs": {**ENTRY["costs"], "start": 0.25}}
    path.write_text(json.dumps(add_to_table(read_table(path), "cuda", more)))
    assert (lowering_costs().start, lowering_costs("cuda").start) == (0.5, 0.25)


def test_the_rest_of_a_table_stays(tmp_path):
    known = {"costs_version": 1, "devices": {}, "latency": {"ms": {}}}
    table = add_to_table(known, "cpu", ENTRY)
    assert {k: table[k] for k in known} == known


def test_a_table_without_this_part_gives_nothing(tmp_path):
    path = tmp_path / "costs.json"
    path.write_text('{"costs_version": 1, "devices": {}}')
    assert load_lowering_costs(path) == {}


@pytest.mark.parametrize(
    ("part", "told"),
    [
        ([], "version"),
        ({"version": 2, "providers": {}}, "version"),
        ({"version": 1, "providers": []}, "no providers"),
        ({"version": 1, "providers": {"cpu": {"costs": {"start": 1}}}}, "must be"),
        ({"version": 1, "providers": {"cpu": 3}}, "must be"),
        ({"version": 1, "providers": {"cpu": {"costs": {**ENTRY["costs"], "value": -1}}}}, "value"),
        (
            {"version": 1, "providers": {"cpu": {"costs": {**ENTRY["costs"], "value": True}}}},
            "value",
        ),
    ],
)
def test_damaged_tables_are_refused(tmp_path, part, told):
    path = tmp_path / "costs.json"
    path.write_text(json.dumps({"costs_version": 1, "devices": {}, "lowering": part}))
    with pytest.raises(BadCosts, match=told):
        load_lowering_costs(path)


@pytest.mark.parametrize("text", ["{", "[]", '{"costs_version": 9}', "[" * 100_000])
def test_what_is_no_table_is_refused(tmp_path, text):
    path = tmp_path / "costs.json"
    path.write_text(text)
    with pytest.raises(BadCosts, match="dashzoo calibrate"):
        read_table(path)


TINY = [(conv_of((1, 30), 5), 1), (conv_of((6, 6), 3, groups=4), 1)]


def test_calibration_measures_and_the_command_keeps_it(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "cases", lambda quick: iter(TINY[: 1 if quick else 2]))
    path = tmp_path / "costs.json"
    path.write_text('{"costs_version": 1, "devices": {}, "mine": 7}')
    words = ["calibrate", "--provider", "cpu", "--threads", "1", "--quick", "--out", str(path)]
    done = CliRunner().invoke(cli, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "2 exported layers timed on cpu" in done.output
    table = json.loads(path.read_text())
    assert table["mine"] == 7
    assert table["lowering"]["providers"]["cpu"]["threads"] == 1
    assert set(load_lowering_costs(path)) == {"cpu"}
    try:
        assert load_costs(path) == {}  # the operator's own table still reads it
    finally:
        reset_costs()


def test_a_damaged_table_is_refused_before_anything_is_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(room, "cases", lambda quick: pytest.fail("measured"))
    path = tmp_path / "costs.json"
    path.write_text("{")
    done = CliRunner().invoke(cli, ["calibrate", "--provider", "cpu", "--out", str(path)])
    assert done.exit_code == 2
    assert path.read_text() == "{"


def test_a_provider_that_is_not_here_is_refused(tmp_path):
    out = tmp_path / "costs.json"
    words = ["calibrate", "--provider", "tensorrt", "--quick", "--out", str(out)]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 2
    assert not out.exists()


def test_cases_cover_every_constant():
    counted = {name for conv, batch in cases() for name, n in direct_work(conv, batch).items() if n}
    for conv, batch in cases():
        plan = best_plan(conv, LoweringCosts(), batch)
        if plan is not None:
            counted |= {n for n, count in matmul_work(conv, plan, batch).items() if count}
    assert counted == {field.name for field in dataclasses.fields(LoweringCosts)}
    assert 0 < len(list(cases(quick=True))) < len(list(cases()))
    assert callable(calibrate)
