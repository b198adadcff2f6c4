"""One model of the gallery: what its facts say, in the words its two pages print."""

from __future__ import annotations

import json
from dataclasses import dataclass

from dashzoo_cards import words
from dashzoo_cards.facts import Facts
from dashzoo_cards.gallery.picture import kernel_picture
from dashzoo_cards.html.drawing import Drawing
from dashzoo_cards.markdown import line

__all__ = ["Model", "Snippet"]

KINDS = {
    "classification": "classification",
    "multilabel": "several labels",
    "regression": "regression",
    "dense_regression": "a number at every position",
    "dense_labels": "a class at every position",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Snippet:
    """Lines to copy, and what they are for."""

    title: str
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model as the gallery shows it.

    Attributes:
        name: of its folder.
        slug: its folder in the gallery.
        repo: ``org/name`` where it was published; None otherwise.
        fault: why the bundle is not as it was made, if it is not.
        facts: of the bundle.
    """

    name: str
    slug: str
    repo: str | None
    fault: str | None
    facts: Facts

    @property
    def kind(self) -> str:
        """What it tells of a sample, in words."""
        return KINDS[self.facts.task.kind]

    @property
    def samples(self) -> str:
        """What goes in: ``1 × 150, sequences``."""
        task = self.facts.task
        size = " × ".join(f"{n:,}" for n in (task.channels, *task.size))
        return f"{size}, {'sequences' if task.dims == 1 else 'images'}"

    @property
    def outputs(self) -> str:
        """How many outputs of which sort."""
        return words.outputs(self.facts.task)

    @property
    def picture(self) -> Drawing:
        """The kernels of all layers, small."""
        return kernel_picture(self.facts)

    @property
    def score(self) -> str:
        """The metric on test."""
        return self.facts.objective.metric.text(self.facts.network.test.value)

    @property
    def share(self) -> float | None:
        """The same in percent, where it is a share."""
        percent = self.facts.objective.metric.percent
        return round(100 * self.facts.network.test.value, 4) if percent else None

    @property
    def rivals(self) -> list[tuple[str, str]]:
        """Who else was measured by this metric, and what they got."""
        facts, metric = self.facts, self.facts.objective.metric
        told = []
        if facts.default is not None and facts.shipped == "searched" and not facts.unchanged:
            told.append(("default kernels", metric.text(facts.default.test.value)))
        if facts.shipped == "default" and not facts.unchanged:
            told.append((facts.candidate, metric.text(facts.searched.test.value)))
        if (best := facts.best_published) is not None:
            told.append((f"best published, {line(best.method)}", metric.text(best.value)))
        return told

    @property
    def verdict(self) -> tuple[str, str]:
        """Against the default kernels, in a few words, and the tone of them."""
        facts, metric = self.facts, self.facts.objective.metric
        if facts.default is None:
            return "default kernels not trained", ""
        if facts.unchanged:
            return "keeps the default kernels", ""
        if facts.shipped == "default":
            return "ships the default kernels", ""
        ours, theirs = facts.searched.test.value, facts.default.test.value
        if ours == theirs:
            return "even with the default kernels", ""
        gap = abs(ours - theirs)
        told = f"{100 * gap:.1f} points" if metric.percent else f"{gap:.3g}"
        if metric.better(ours, theirs):
            return f"{told} better than the default kernels", "good"
        return f"{told} worse than the default kernels", "bad"

    @property
    def gain(self) -> float:
        """How much better than its default kernels it does, as a share of what can be gained."""
        facts, metric = self.facts, self.facts.objective.metric
        if facts.default is None:
            return 0.0
        ours, theirs = (
            metric.error(facts.network.test.value),
            metric.error(facts.default.test.value),
        )
        return round((theirs - ours) / max(abs(theirs), abs(ours), 1e-12), 6)

    @property
    def latency(self) -> tuple[str, str] | None:
        """Milliseconds of the ONNX model for one sample, and on what."""
        timing = self.facts.export.latency if self.facts.export else None
        if timing is None:
            return None
        threads = "thread" if timing.threads == 1 else "threads"
        return f"{timing.median_ms:.3g} ms", f"{line(timing.machine)}, {timing.threads} {threads}"

    @property
    def latency_ms(self) -> float | None:
        """The same as a number."""
        timing = self.facts.export.latency if self.facts.export else None
        return None if timing is None else timing.median_ms

    @property
    def snippets(self) -> list[Snippet]:
        """Lines that load it: by dashzoo, by timm, by ONNX Runtime alone."""
        name = json.dumps(line(self.repo or self.name), ensure_ascii=False)
        timm = json.dumps(
            f"hf-hub:{line(self.repo)}" if self.repo else "local-dir:", ensure_ascii=False
        )
        if not self.repo:
            timm += f" + str(dashzoo.pull({name}))"
        told = [
            Snippet(title="dashzoo", code=f"import dashzoo\n\nnet = dashzoo.load({name})"),
            Snippet(
                title="timm",
                code="import dashzoo, timm\n\n"
                f"net = timm.create_model(\n    {timm}, pretrained=True\n)",
            ),
        ]
        if self.facts.export is None:
            return told
        if self.repo:
            brings = "import onnxruntime\nfrom huggingface_hub import hf_hub_download\n\n"
            brings += f'path = hf_hub_download({name}, "onnx/model.onnx")\n'
        else:
            brings = "import dashzoo, onnxruntime\n\n"
            brings += f'path = dashzoo.pull({name}) / "onnx/model.onnx"\n'
        return [
            *told,
            Snippet(
                title="ONNX Runtime", code=f"{brings}session = onnxruntime.InferenceSession(path)"
            ),
        ]

    @property
    def searched_for(self) -> str:
        """What a word in the search box is looked for in."""
        task = self.facts.task
        told = (self.name, task.name, self.kind, self.samples, self.facts.backbone, task.source)
        return line(" ".join(map(line, told)).lower())
