"""A bundle on disk: its files, writing them so that nothing half-done looks whole, checking them.

```
config.json          timm's schema; kernels in model_args, provenance under the key "dashzoo"
model.safetensors    weights, preprocessing buffers included
results.json         every number the card prints
onnx/model.onnx      in float32; model.fp16.onnx, model.bf16.onnx, model.int8.onnx if asked for
onnx/export.json     lowering per layer, and the certificate: errors against torch
figures/             README.md: the card
SHA256SUMS           of all of the above; written last, so its presence means the bundle is whole
model.sig            if signed: a signature of all of the above, made once the bundle is whole
search/              working files of the search; not part of the bundle, never published
```
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dashzoo_search.errors import BadBundle, BundleExists

__all__ = [
    "CONFIG",
    "EXPORT",
    "ONNX",
    "README",
    "RESULTS",
    "SIGNATURE",
    "SUMS",
    "WEIGHTS",
    "WORK",
    "bundle_files",
    "check_bundle",
    "invalidate",
    "read_json",
    "refuse_overwrite",
    "remove_halves",
    "seal",
    "sealed_files",
    "sha256_file",
    "write_atomically",
    "write_json",
]

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
RESULTS = "results.json"
ONNX = "onnx/model.onnx"
EXPORT = "onnx/export.json"
README = "README.md"
SUMS = "SHA256SUMS"
SIGNATURE = "model.sig"
WORK = "search"

_PRECISIONS = tuple(f"onnx/model.{name}.onnx" for name in ("fp16", "bf16", "int8"))
_FIGURES = tuple(f"figures/{name}.png" for name in ("kernels", "alpha", "scores", "latency"))
_WORKING = ("search.json", "supernet.safetensors", "data.npz")
_REQUIRED = (CONFIG, WEIGHTS, RESULTS, ONNX, EXPORT, README)
_OURS = (
    *(*_REQUIRED, *_PRECISIONS, *_FIGURES, SUMS, SIGNATURE),
    *(f"{WORK}/{name}" for name in _WORKING),
)
_MAX_JSON = 64 * 2**20


def sha256_file(path: Path) -> str:
    """Hex digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_atomically(path: Path, data: bytes) -> None:
    """Write ``data`` beside ``path``, then move it there: readers see the old bytes or the new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def remove_halves(folder: Path) -> None:
    """Remove what a kill left of files that `write_atomically` was writing, none but ours."""
    for path in folder.rglob(".*.????????"):
        if path.is_file() and path.name[1:-9] in {Path(name).name for name in _OURS}:
            path.unlink()


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON object, indented, strict (no NaN)."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    write_atomically(path, (text + "\n").encode())


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        BadBundle: the file is missing, huge, or holds no JSON object.
    """
    try:
        if path.stat().st_size > _MAX_JSON:
            raise BadBundle(
                f"{path.name} is larger than 64 MB; it is no file of ours", field=path.name
            )
        value = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise BadBundle(f"{path} is missing; is this a dashzoo folder?", field=path.name) from error
    except (OSError, ValueError, RecursionError) as error:
        raise BadBundle(f"{path.name} is damaged: {error}", field=path.name) from error
    if not isinstance(value, dict):
        raise BadBundle(f"{path.name} must hold a JSON object", field=path.name)
    return value


def bundle_files(folder: Path) -> list[str]:
    """Relative names of the files SHA256SUMS is to list, sorted: all but itself and a signature."""
    after = {SUMS, SIGNATURE}
    names = []
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        hidden = any(part.startswith(".") for part in Path(name).parts)
        if path.is_file() and not hidden and name not in after and not name.startswith(f"{WORK}/"):
            names.append(name)
    return sorted(names)


def seal(folder: Path) -> None:
    """Write SHA256SUMS over the bundle's files, as ``sha256sum -c`` reads it.

    A signature goes: what it was made of is no more.

    Raises:
        BadBundle: a required file is missing.
    """
    for name in _REQUIRED:
        if not (folder / name).is_file():
            raise BadBundle(f"{folder} lacks {name}; run the step that writes it", field=name)
    (folder / SIGNATURE).unlink(missing_ok=True)
    lines = [f"{sha256_file(folder / name)}  {name}\n" for name in bundle_files(folder)]
    write_atomically(folder / SUMS, "".join(lines).encode())


def check_bundle(folder: Path) -> list[str]:
    """Check that a bundle is whole and unchanged; returns its files as `sealed_files` has them.

    A signature is not checked.

    Raises:
        BadBundle: a file is missing, changed, or not listed.
    """
    if not folder.is_dir():
        raise BadBundle(f"{folder} is no folder; give a bundle", field=str(folder))
    sums = folder / SUMS
    if not sums.is_file():
        raise BadBundle(
            f"{folder} has no {SUMS}, so it is not a whole bundle; finish it with 'dashzoo card'",
            field=SUMS,
        )
    listed = _listed(folder)
    present = set(bundle_files(folder))
    for name in _REQUIRED:
        if name not in listed:
            raise BadBundle(f"{SUMS} does not list {name}; make the bundle again", field=name)
    for name in sorted(present ^ set(listed)):
        state = "is missing" if name in listed else f"is not listed in {SUMS}"
        raise BadBundle(f"{name} {state}; make the bundle again", field=name)
    for name, digest in listed.items():
        if sha256_file(folder / name) != digest:
            raise BadBundle(f"{name} has changed since the bundle was made", field=name)
    return sealed_files(folder)


def sealed_files(folder: Path) -> list[str]:
    """What SHA256SUMS lists, itself, and a signature where there is one; nothing is checked."""
    signature = [SIGNATURE] if (folder / SIGNATURE).is_file() else []
    return [*_listed(folder), SUMS, *signature]


def _listed(folder: Path) -> dict[str, str]:
    """Names and digests of SHA256SUMS, in its order."""
    lines = (folder / SUMS).read_text(errors="replace").splitlines()
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines)}


def invalidate(folder: Path, *names: str) -> None:
    """Remove SHA256SUMS first, then a signature and the files or folders a new step makes stale."""
    for name in (SUMS, SIGNATURE):
        (folder / name).unlink(missing_ok=True)
    for name in names:
        path = folder / name
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def refuse_overwrite(folder: Path, *, force: bool) -> None:
    """Refuse an output folder in use; with ``force``, one that is not ours.

    Raises:
        BundleExists: going on would lose something.
    """
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise BundleExists(f"{folder} is not a plain folder; give another --out")
    if not folder.exists() or not any(folder.iterdir()):
        return
    if foreign := _foreign(folder):
        raise BundleExists(
            f"{folder} holds other files ({foreign}); give an empty or new folder as --out"
        )
    if not force:
        raise BundleExists(f"{folder} already holds a bundle; give another --out, or --force")


def _foreign(folder: Path) -> str | None:
    """The first file that no step of ours writes and no SHA256SUMS lists.

    In a folder that shows no other sign of us every file is foreign, whatever its name.
    """
    sums = folder / SUMS
    known: set[str] = set()
    if sums.is_file() or (folder / WORK / "search.json").is_file():
        known = set(_OURS)
    if sums.is_file():
        known.update(_listed(folder))
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if (path.is_symlink() or not path.is_dir()) and name not in known:
            return name
    return None
