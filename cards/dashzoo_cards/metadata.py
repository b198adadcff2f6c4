"""The YAML header of a card: what the Hub filters, badges and ranks by.

The client checks only the shape of the YAML, so identifiers are checked here against lists
of our own; nothing is asked of the network.
"""

from __future__ import annotations

from huggingface_hub import EvalResult, ModelCardData

from dashzoo_cards.compared import counts_examples, interval
from dashzoo_cards.facts import Facts
from dashzoo_cards.markdown import line
from dashzoo_search.errors import BadBundle

__all__ = ["LICENSES", "METRICS", "PIPELINE_TAGS", "card_data", "check_ids"]

LICENSES = frozenset(
    {
        *("apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "isc", "unlicense", "mpl-2.0"),
        *("lgpl-3.0", "gpl-3.0", "agpl-3.0", "cc0-1.0", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-4.0"),
        *("cc-by-nc-4.0", "cc-by-nc-sa-4.0", "cc-by-nd-4.0", "odc-by", "pddl", "odbl", "openrail"),
        *("other", "unknown"),
    }
)
PIPELINE_TAGS = frozenset({"image-classification", "image-segmentation", "other"})
METRICS = frozenset({"accuracy", "f1", "mae", "mse", "roc_auc"})
_METRIC_IDS = {"auroc": "roc_auc"}
# The Hub has no task for classifying series; "other" keeps it from guessing images.
_PIPELINES = {"classification": "image-classification", "dense_labels": "image-segmentation"}
_SUBJECTS = {1: "time-series", 2: "image"}


def card_data(facts: Facts) -> ModelCardData:
    """The header of a bundle's card.

    The metric on the test split is stated, a share as a fraction of 1, with seed, split and number
    of samples beside it, and of an accuracy its 95 % interval. What has no identifier on the Hub
    (data sets) or was not measured (emissions) is left out.

    Args:
        facts: the bundle's facts.

    Raises:
        BadBundle: the weights' licence is none the Hub knows.

    >>> card_data(facts).library_name  # doctest: +SKIP
    'timm'
    """
    task = facts.task
    pipeline_tag = _PIPELINES.get(task.kind, "other") if task.dims == 2 else "other"
    task_type = f"{_SUBJECTS[task.dims]}-{task.kind.replace('_', '-')}"
    if pipeline_tag != "other":
        task_type = pipeline_tag
    measure = facts.objective.metric
    metric = _METRIC_IDS.get(measure.name, line(measure.name))
    name = line(task.name)
    tags = ["dashzoo", "timm", task_type]
    tags += ["searched-kernels"] if facts.space is not None else []
    tags += ["xd-operations"] if facts.operations else []
    tags += ["onnx"] if facts.export is not None else []
    value, count = facts.network.test.value, task.counts["test"]
    told: dict[str, object] = {"split": "test", "seed": facts.seed, "samples": count}
    if counts_examples(facts):
        told["interval95"] = [round(end, 6) for end in interval(value, count)]
    result = EvalResult(
        task_type=task_type,
        task_name=task_type.replace("-", " ").capitalize(),
        dataset_type=name,
        dataset_name=name,
        dataset_split="test",
        dataset_args={"sha256": task.sha256, "samples": count},
        metric_type=metric,
        metric_name=line(measure.name).capitalize() if metric in METRICS else line(measure.name),
        metric_value=value,
        metric_args=told,
    )
    data = ModelCardData(
        license=facts.config.license,
        library_name="timm",
        pipeline_tag=pipeline_tag,
        tags=tags,
        metrics=[metric] if metric in METRICS else None,
        model_name=line(facts.name),
        eval_results=[result],
    )
    check_ids(data)
    return data


def check_ids(data: ModelCardData) -> None:
    """Hold a header's identifiers against the lists of this module.

    Args:
        data: the header.

    Raises:
        BadBundle: an unknown licence, pipeline tag or metric; the field is named.

    >>> check_ids(ModelCardData(license="mine", pipeline_tag="other", metrics=["accuracy"]))
    Traceback (most recent call last):
    dashzoo_search.errors.BadBundle: License 'mine' is none the Hub knows; use one such as 'mit'
    """
    if data.license not in LICENSES:
        message = f"License {data.license!r} is none the Hub knows; use one such as 'mit'"
        raise BadBundle(message, field="config.json:pretrained_cfg.license")
    if data.pipeline_tag not in PIPELINE_TAGS:
        message = f"Pipeline tag {data.pipeline_tag!r} is none of {sorted(PIPELINE_TAGS)}"
        raise BadBundle(message, field="pipeline_tag")
    for metric in data.metrics or ():
        if metric not in METRICS:
            message = f"Metric {metric!r} is none of {sorted(METRICS)}"
            raise BadBundle(message, field="metrics")
