"""Timing: turns, percentiles, bound inputs, memory."""

import time

import numpy as np
import pytest
from onnx import TensorProto, helper

from dashzoo_export.latency import added_memory, bound, take_turns
from dashzoo_export.session import open_session


def one_node(op):
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
    graph = helper.make_graph([helper.make_node(op, ["x"], ["y"])], "one", ports[:1], ports[1:])
    opsets = [helper.make_opsetid("", 18)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString()


def test_forms_take_turns_and_all_are_warmed():
    heard = []
    times = take_turns(
        {name: lambda name=name: heard.append(name) for name in "abc"}, seconds=0, least=5
    )
    assert {name: each.calls for name, each in times.items()} == {"a": 5, "b": 5, "c": 5}
    timed = heard[9:]
    assert all(sorted(timed[i : i + 3]) == ["a", "b", "c"] for i in range(0, 15, 3))
    assert len({tuple(timed[i : i + 3]) for i in range(0, 15, 3)}) > 1


def test_slow_forms_do_not_hold_up_quick_ones():
    times = take_turns(
        {"slow": lambda: time.sleep(0.01), "quick": lambda: None}, seconds=0.02, least=2, most=50
    )
    assert times["slow"].calls <= 3
    assert times["quick"].calls == 50


def test_wall_and_processor_time_are_told_apart():
    def sleep():
        time.sleep(0.005)

    def work():
        begun = time.process_time()
        while time.process_time() - begun < 0.005:
            pass

    times = take_turns({"sleep": sleep, "work": work}, seconds=0, least=5)
    assert times["sleep"].cpu_ms < 2 < 4.9 < times["sleep"].best_ms
    assert times["work"].cpu_ms >= 4.9
    for each in times.values():
        assert each.best_ms <= each.median_ms <= each.p95_ms


def test_the_95th_percentile_is_a_call_that_happened(monkeypatch):
    clock = iter(np.cumsum([0.0, *(n for k in range(1, 21) for n in (k, 0))]))
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    times = take_turns({"slower and slower": lambda: None}, seconds=0, least=20)[
        "slower and slower"
    ]
    assert times.p95_ms == 20_000  # the nineteenth is at rank 0.947
    assert times.median_ms == 10_500
    assert times.best_ms == 1000


def test_bound_input_and_output_give_what_run_gives():
    session = open_session(one_node("Exp"), threads=1)
    x = np.array([1.5], np.float32)
    call, binding = bound(session, x, "cpu")
    call()
    (found,) = binding.copy_outputs_to_cpu()
    np.testing.assert_array_equal(found, session.run(None, {"x": x})[0])
    assert found == pytest.approx(np.exp(1.5))


def test_memory_is_what_the_block_added():
    with added_memory("cpu") as nothing:
        pass
    if not nothing:
        pytest.skip("this system does not tell")
    with added_memory("cpu") as held:
        block = np.ones(2**23)
    with added_memory("cpu") as freed:  # the peak counts, not what is left
        np.ones(2**23).sum()
    assert block.nbytes * 0.9 < held[0] < block.nbytes * 1.5
    assert block.nbytes * 0.9 < freed[0] < block.nbytes * 1.5
    assert nothing[0] < 2**20
    assert not _gpu_memory()


def _gpu_memory():
    import torch

    if torch.cuda.is_available():
        return []
    with added_memory("cuda") as told:
        pass
    return told
