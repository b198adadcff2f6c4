"""config.json is read with suspicion: every bad field is named."""

import copy
import json

import pytest

from dashzoo_export.config import read_config
from dashzoo_search.errors import BadBundle


def put(config, path, value):
    config = copy.deepcopy(config)
    *parents, leaf = path.split(".")
    node = config
    for part in parents:
        node = node[part]
    if value is ...:
        del node[leaf]
    else:
        node[leaf] = value
    return config


def test_what_is_written_is_read(bundle, image_bundle):
    config = read_config(bundle)
    assert (config.backbone, config.dims, config.in_chans, config.size) == ("wrn1d", 1, 2, (30,))
    assert config.label_names == ("fast", "middle", "slow")
    assert config.backbone_args == {"width": 4}
    assert read_config(image_bundle).size == (24, 24)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("architecture", "resnet18"),
        ("architecture", ...),
        ("num_classes", 0),
        ("num_classes", True),
        ("num_classes", 10**9),
        ("label_names", ["a"]),
        ("model_args", []),
        ("model_args.backbone", 3),
        ("model_args.backbone", ...),
        ("model_args.dims", 3),
        ("model_args.dims", "1"),
        ("model_args.in_chans", -1),
        ("model_args.in_chans", 10**12),
        ("model_args.kernels", None),
        ("model_args.kernels.spec_version", 99),
        ("model_args.kernels.dims", 2),
        ("model_args.kernels.layers", []),
        ("model_args.backbone_args", "width=3"),
        ("model_args.backbone_args", {"width": 10**12}),
        ("model_args.backbone_args", {"cfg": {"deep": 1}}),
        ("dashzoo", ...),
        ("dashzoo.config_version", 2),
        ("dashzoo.size", [30, 30]),
        ("dashzoo.size", ["30"]),
    ],
)
def test_a_bad_field_is_named(bundle, path, value):
    file = bundle / "config.json"
    file.write_text(json.dumps(put(json.loads(file.read_text()), path, value)))
    with pytest.raises(BadBundle) as caught:
        read_config(bundle)
    assert path.split(".")[-1] in caught.value.field
    assert "\n" not in str(caught.value)


def test_a_kernel_beyond_sense_is_named_by_layer(bundle):
    file = bundle / "config.json"
    config = json.loads(file.read_text())
    layer = next(iter(config["model_args"]["kernels"]["layers"]))
    config["model_args"]["kernels"]["layers"][layer]["kernel"] = 10**9 + 1
    file.write_text(json.dumps(config))
    with pytest.raises(BadBundle, match=layer):
        read_config(bundle)
