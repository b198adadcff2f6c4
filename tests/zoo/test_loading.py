"""One network, three ways in: dashzoo, timm, ONNX. And a bundle that may lie."""

from __future__ import annotations

import copy
import json
import subprocess
import sys

import numpy as np
import onnxruntime
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

import dashzoo
from dashzoo.loading import load_with_config
from dashzoo_search.errors import BadBundle

FRESH = """
{imports}
import numpy as np, sys, torch
torch.set_num_threads(1)
for folder, x, out in zip(*[iter(sys.argv[1:])] * 3):
    net = timm.create_model("local-dir:" + folder, pretrained=True).eval()
    with torch.inference_mode():
        np.save(out, net(torch.from_numpy(np.load(x))).numpy())
"""


def raw_samples(net, size, n=5):
    rng = np.random.default_rng(1)
    return (5 + 2 * rng.standard_normal((n, net.in_chans, *size))).astype(np.float32)


@pytest.mark.parametrize("imports", ["import dashzoo, timm", "import timm, dashzoo"])
def test_timm_gives_the_same_bits(made_bundle, made_image_bundle, tmp_path, imports):
    words, expected = [], {}
    for folder in (made_bundle, made_image_bundle):
        net, config = load_with_config(folder)
        X, out = raw_samples(net, config.size), tmp_path / f"{folder.name}.npy"
        np.save(tmp_path / f"X-{folder.name}.npy", X)
        words += [folder, tmp_path / f"X-{folder.name}.npy", out]
        with torch.inference_mode():
            expected[out] = net(torch.from_numpy(X)).numpy()
    code = [sys.executable, "-c", FRESH.format(imports=imports), *map(str, words)]
    done = subprocess.run(code, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for out, outputs in expected.items():
        np.testing.assert_array_equal(np.load(out), outputs)


@pytest.mark.parametrize("which", ["made_bundle", "made_image_bundle"])
@pytest.mark.parametrize("batch", [1, 3, 7])
def test_onnx_gives_the_same(request, which, batch):
    folder = request.getfixturevalue(which)
    net, config = load_with_config(folder)
    X = raw_samples(net, config.size, batch)
    session = onnxruntime.InferenceSession(
        str(folder / "onnx" / "model.onnx"), providers=["CPUExecutionProvider"]
    )
    (actual,) = session.run(None, {"input": X})
    with torch.inference_mode():
        expected = net(torch.from_numpy(X)).numpy()
    assert actual.shape == expected.shape
    assert np.abs(actual - expected).max() <= 1e-4 * np.abs(expected).max()
    assert (actual.argmax(1) == expected.argmax(1)).all()


def test_a_loaded_network_is_ready(bundle):
    net = dashzoo.load(str(bundle))
    assert not net.training
    x = torch.randn(2, 2, 30)
    with torch.inference_mode():
        assert net(x).shape == (2, 3)
        assert torch.equal(copy.deepcopy(net)(x), net(x))
    assert dashzoo.load(bundle).state_dict().keys() == net.state_dict().keys()


class TestFiles:
    @pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
    def test_missing(self, bundle, name):
        (bundle / name).unlink()
        with pytest.raises(BadBundle, match="missing") as caught:
            dashzoo.load(bundle)
        assert caught.value.field == name

    @pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
    def test_a_folder_of_that_name(self, bundle, name):
        (bundle / name).unlink()
        (bundle / name).mkdir()
        with pytest.raises(BadBundle, match="damaged") as caught:
            dashzoo.load(bundle)
        assert caught.value.field == name

    def test_no_folder(self, tmp_path):
        with pytest.raises(BadBundle, match="is no folder"):
            dashzoo.load(tmp_path / "none")
        with pytest.raises(BadBundle, match=r"config\.json is missing"):
            dashzoo.load(tmp_path)

    @pytest.mark.parametrize("share", [0, 4, 100, -1])
    def test_truncated_weights(self, bundle, share):
        path = bundle / "model.safetensors"
        path.write_bytes(path.read_bytes()[:share])
        with pytest.raises(BadBundle, match=r"model\.safetensors is damaged"):
            dashzoo.load(bundle)

    @pytest.mark.parametrize(
        "text", ["", "{", "[]", "null", '"a"', "\xff", '{"a": NaN', "[" * 9999]
    )
    def test_damaged_config(self, bundle, text):
        (bundle / "config.json").write_bytes(text.encode("latin1"))
        with pytest.raises(BadBundle) as caught:
            dashzoo.load(bundle)
        assert caught.value.field == "config.json"


class TestTensors:
    NAME = "backbone.blocks.0.conv1.weight"

    @pytest.fixture
    def rewrite(self, bundle):
        def rewrite(change):
            state = load_file(bundle / "model.safetensors")
            change(state)
            save_file(state, bundle / "model.safetensors")
            with pytest.raises(BadBundle) as caught:
                dashzoo.load(bundle)
            return caught.value

        return rewrite

    def test_missing(self, rewrite):
        error = rewrite(lambda state: state.pop(self.NAME))
        assert error.field == self.NAME
        assert "is missing" in str(error)

    def test_extra(self, rewrite):
        error = rewrite(lambda state: state.update(extra=torch.zeros(1)))
        assert error.field == "extra"
        assert "is unexpected" in str(error)

    @pytest.mark.parametrize("shape", [(), (1,), (4, 2, 3), (4, 2, 1, 99)])
    def test_misshaped(self, rewrite, shape):
        error = rewrite(lambda state: state.update({self.NAME: torch.zeros(shape)}))
        assert error.field == self.NAME
        assert f"has shape {list(shape)}" in str(error)

    @pytest.mark.parametrize("value", [float("nan"), float("inf")])
    @pytest.mark.parametrize("name", [NAME, "preprocess.std", "backbone.blocks.1.bn1.running_var"])
    def test_no_number(self, rewrite, name, value):
        error = rewrite(lambda state: state[name].view(-1)[:1].fill_(value))
        assert error.field == name
        assert "holds NaN or inf" in str(error)

    def test_other_type(self, rewrite):
        error = rewrite(lambda state: state.update({self.NAME: state[self.NAME].half()}))
        assert error.field == self.NAME
        assert "float16" in str(error)


class TestConfig:
    @pytest.fixture
    def rewrite(self, bundle):
        def rewrite(path, value):
            config = json.loads((bundle / "config.json").read_text())
            *parents, last = path.split("/")
            inner = config
            for key in parents:
                inner = inner[key]
            inner[last] = value
            (bundle / "config.json").write_text(json.dumps(config))
            with pytest.raises(BadBundle) as caught:
                dashzoo.load(bundle)
            assert len(str(caught.value)) < 400
            return caught.value.field

        return rewrite

    LAYER = "model_args/kernels/layers/blocks.0.conv1"

    @pytest.mark.parametrize(
        ("path", "value", "field"),
        [
            ("architecture", "resnet18", "architecture"),
            ("architecture", None, "architecture"),
            ("num_classes", 0, "num_classes"),
            ("num_classes", True, "num_classes"),
            ("num_classes", 10**9, "num_classes"),
            ("num_classes", 4, "label_names"),
            ("label_names", ["a"], "label_names"),
            ("label_names", None, "label_names"),
            ("model_args", [], "model_args"),
            ("model_args/backbone", "resnet18", "model_args"),
            ("model_args/backbone", "../../evil", "model_args"),
            ("model_args/backbone", "hf-hub:someone/something", "model_args"),
            ("model_args/backbone", 3, "model_args.backbone"),
            ("model_args/backbone", "x" * 300, "model_args.backbone"),
            ("model_args/dims", 3, "model_args.dims"),
            ("model_args/dims", 2, "dashzoo.size"),
            ("model_args/in_chans", -1, "model_args.in_chans"),
            ("model_args/in_chans", 3, "preprocess.mean"),
            ("model_args/resize", "x", "model_args.resize"),
            ("model_args/backbone_args", 5, "model_args.backbone_args"),
            ("model_args/backbone_args", {"width": 5}, "backbone.blocks.0.conv1.weight"),
            ("model_args/backbone_args", {"width": 10**9}, "model_args.backbone_args.width"),
            ("model_args/backbone_args", {"width": [4]}, "model_args.backbone_args.width"),
            ("model_args/backbone_args", {"width": "x"}, "model_args"),
            ("model_args/backbone_args", {"checkpoint_path": "/etc/passwd"}, "model_args"),
            ("model_args/backbone_args", {"pretrained": True}, "model_args"),
            ("model_args/kernels", None, "model_args.kernels"),
            ("model_args/kernels/spec_version", 9, "model_args.kernels.spec_version"),
            ("model_args/kernels/dims", 2, "model_args.kernels.dims"),
            ("model_args/kernels/layers/nowhere", {"kernel": 3, "dilation": 1}, "model_args"),
            ("model_args/kernels/layers/fc", {"kernel": 3, "dilation": 1}, "model_args"),
            (LAYER, 3, "model_args.kernels.layers.blocks.0.conv1"),
            (LAYER + "/kernel", 4, "model_args.kernels.layers.blocks.0.conv1.kernel"),
            (LAYER + "/kernel", 99, "backbone.blocks.0.conv1.weight"),
            (LAYER + "/dilation", 0, "model_args.kernels.layers.blocks.0.conv1.dilation"),
            ("dashzoo", None, "dashzoo"),
            ("dashzoo/config_version", 2, "dashzoo.config_version"),
            ("dashzoo/size", [0], "dashzoo.size"),
            ("dashzoo/size", [30, 30], "dashzoo.size"),
            ("dashzoo/size", "30", "dashzoo.size"),
        ],
    )
    def test_hostile_field(self, rewrite, path, value, field):
        assert rewrite(path, value) == field

    @settings(
        max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    @given(st.data())
    def test_any_leaf_replaced_loads_or_is_a_bad_bundle(self, made_bundle, tmp_path, data):
        config = json.loads((made_bundle / "config.json").read_text())
        inner = config
        while True:
            keys = sorted(inner) if isinstance(inner, dict) else list(range(len(inner)))
            key = data.draw(st.sampled_from(keys))
            if (
                not isinstance(inner[key], dict | list)
                or not inner[key]
                or data.draw(st.booleans())
            ):
                break
            inner = inner[key]
        inner[key] = data.draw(
            st.none() | st.booleans() | st.integers(-2, 70) | st.floats() | st.text(max_size=5)
            | st.just([]) | st.just({}) | st.just({"a": [1]}) | st.just([None])
        )  # fmt: skip
        (tmp_path / "config.json").write_text(json.dumps(config))
        weights = tmp_path / "model.safetensors"
        if not weights.exists():
            weights.write_bytes((made_bundle / "model.safetensors").read_bytes())
        try:
            net = dashzoo.load(tmp_path)
        except BadBundle:
            return
        assert net(torch.zeros(1, 2, 30)).shape[0] == 1


def test_a_config_that_asks_for_terabytes_costs_no_memory(bundle):
    import resource

    file = bundle / "config.json"
    config = json.loads(file.read_text())
    config["model_args"]["backbone_args"]["width"] = 65_536
    layer = next(iter(config["model_args"]["kernels"]["layers"]))
    config["model_args"]["kernels"]["layers"][layer]["kernel"] = 4095
    file.write_text(json.dumps(config))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(BadBundle, match="does not fit"):
        dashzoo.load(bundle)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000  # kB
