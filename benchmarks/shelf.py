"""The models of the shelf: rebuilt from data and seeds by the commands below.

    python benchmarks/shelf.py --list
    python benchmarks/shelf.py                       # all, into zoo/dashzoo/shelf; hours
    python benchmarks/shelf.py --only wrn1d.gunpoint
    python benchmarks/shelf.py --check --only wrn1d.gunpoint   # rebuild beside it: has it drifted?
    python benchmarks/shelf.py --table               # the table of the README

A model that is there is left alone unless `--force` is given. On another machine training ends in
other bits, and scores differ by chance: a rebuilt model has drifted when either test accuracy lies
outside the other's 95 % interval, or an error differs by more than a tenth.
"""

from __future__ import annotations

import argparse
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from dashzoo.catalogue import bundles
from dashzoo_cards.compared import counts_examples, interval
from dashzoo_cards.facts import load_facts
from dashzoo_cards.gallery.site import KERNELS
from dashzoo_cards.markdown import code, plain, slug
from dashzoo_export.bundle import WORK

ROOT = Path(__file__).parents[1]
SHELF = ROOT / "zoo" / "dashzoo" / "shelf"

# Small enough for bundles of at most 1.5 MB; epochs such that a model takes minutes on one core.
_SMALL = "--backbone-arg width=24 --epochs 200 --search-epochs 50 --threads 1"
_LARGE = "--backbone-arg width=16 --epochs 80 --search-epochs 16 --threads 1"
_DRAWN = "--backbone-arg width=8 --batch-size 32 --threads 1"
_IMAGES = "--backbone wrn_16_1 --backbone-arg width=12 --threads 1"
_FIELD = "--backbone chain2d --backbone-arg depth=4 --backbone-arg width=16 --threads 1"
MODELS = {
    "wrn1d.italypowerdemand": f"ucr/ItalyPowerDemand {_SMALL}",
    "wrn1d.basicmotions": f"ucr/BasicMotions {_SMALL}",
    "wrn1d.gunpoint": f"ucr/GunPoint {_SMALL}",
    "wrn1d.japanesevowels": f"ucr/JapaneseVowels {_SMALL}",
    "wrn_16_1.digits": f"digits {_IMAGES} --epochs 40 --search-epochs 5",
    "wrn_16_1.digits-permuted": f"digits/permuted {_IMAGES} --epochs 40 --search-epochs 5",
    "wrn_16_1.faces": f"faces {_IMAGES} --epochs 40 --search-epochs 5",
    "wrn1d.arrowhead": f"ucr/ArrowHead {_SMALL}",
    "wrn1d.burgers": f"burgers/viscous {_DRAWN} --epochs 60 --search-epochs 5",
    "wrn1d.ecg": f"ecg/synthetic {_DRAWN} --epochs 30 --search-epochs 6",
    "wrn1d.osuleaf": f"ucr/OSULeaf {_LARGE}",
    "wrn1d.acsf1": f"ucr/ACSF1 {_LARGE}",
    "wrn1d.motifs": "motifs --backbone-arg width=16 --batch-size 32 --threads 1 --epochs 12 "
    "--search-epochs 3",
    "wrn1d.plaid": f"ucr/PLAID {_DRAWN} --input-norm sample --lengths pad --size 512 --epochs 40 "
    "--search-epochs 8",
    "chain2d.darcy": f"darcy/small {_FIELD} --epochs 40 --search-epochs 8",
    "wrn1d.pickupgesture": f"ucr/PickupGestureWiimoteZ {_SMALL}",
    "wrn_16_1.textures": f"textures {_IMAGES} --epochs 8 --search-epochs 2",
}


def commands(name: str, folder: Path) -> list[list[str]]:
    """What makes a model: a run, its ONNX file in int8 beside float32, its latency, its card."""
    out = str(folder / name)
    return [
        ["dashzoo", "run", *shlex.split(MODELS[name]), "--out", out, "--force"],
        ["dashzoo", "export", out, "--dtype", "int8"],
        ["dashzoo", "card", out],
        ["dashzoo", "bench", out, "--dtype", "fp32,int8", "--threads", "1", "--save"],
    ]


def build(name: str, folder: Path) -> None:
    """Run all commands of a model; what only a further training would need does not stay."""
    for words in commands(name, folder):
        subprocess.run([sys.executable, "-m", *words], check=True, cwd=ROOT)
    shutil.rmtree(folder / name / WORK)


def drift(name: str) -> str | None:
    """Rebuild a model elsewhere; in what its test score differs beyond chance, or None."""
    with tempfile.TemporaryDirectory() as aside:
        build(name, Path(aside))
        (old, low, high), (new, new_low, new_high) = (
            _score(folder / name) for folder in (SHELF, Path(aside))
        )
    if low <= new <= high or new_low <= old <= new_high:
        return None
    return f"{name}: {old:.4f} on the shelf ({low:.4f} to {high:.4f}), {new:.4f} rebuilt"


def _score(folder: Path) -> tuple[float, float, float]:
    """Test score of the network that is shipped, and the ends of what chance allows."""
    facts = load_facts(folder)
    value = facts.network.test.value
    if counts_examples(facts):
        return value, *interval(value, facts.task.counts["test"])
    return value, 0.9 * value, 1.1 * value


def table() -> str:
    """The models on the shelf as Markdown, with what `dashzoo verify --all` measures again.

    Kernels are the pictures of docs/gallery, which `dashzoo gallery` draws.
    """
    rows = [
        "| kernels | model | trained on | takes | test | parameters |",
        "|---|---|---|---|---:|---:|",
    ]
    for folder in bundles(SHELF):
        facts = load_facts(folder, files=False)
        task, metric = facts.task, facts.objective.metric
        name = code(folder.name)
        picture = f"docs/gallery/{slug(folder.name)}/{KERNELS}"
        cells = (
            f'<img src="{picture}" width="120" alt="Kernels of {folder.name}">',
            f"[{name}]({folder.relative_to(ROOT).as_posix()}/README.md)",
            code(task.name),
            " × ".join(map(str, (task.channels, *task.size))),
            f"{metric.text(facts.network.test.value)} {plain(metric.name)}",
            f"{facts.network.parameters:,}",
        )
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def main() -> None:
    """Build, list or check models."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--list", action="store_true", help="print the commands")
    parser.add_argument("--check", action="store_true", help="rebuild elsewhere and compare")
    parser.add_argument("--table", action="store_true", help="print the table of the README")
    parser.add_argument("--force", action="store_true", help="build those that are there, too")
    options = parser.parse_args()
    if options.table:
        print(table())
        return
    drifted = []
    for name in options.only:
        if options.list:
            print(*map(shlex.join, commands(name, SHELF.relative_to(ROOT))), sep="\n")
        elif options.check:
            drifted += [told] if (told := drift(name)) else []
        elif options.force or not (SHELF / name / "SHA256SUMS").is_file():
            build(name, SHELF)
    if drifted:
        sys.exit("\n".join(drifted))


if __name__ == "__main__":
    main()
