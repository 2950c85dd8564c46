"""Reading trained weights: lunart's ``.safetensors``, the book's ``.state``, a bare state_dict.

A pickle is opened with ``weights_only=True``; the book's checkpoints hold one ``datetime``, the
only other type that is let in. The optimizer state that they carry is dropped. A ``.safetensors``
of ours records architecture, pipeline settings and source as JSON under the metadata key
``lunart``; anything else has its architecture read off the shapes.
"""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from lunart import _core
from lunart.bundle import Architecture, sha256_of
from lunart.errors import BundleError
from lunart.models.architectures import (
    CLASSIFIER,
    ROLES,
    describe,
    infer,
    recognise,
    skeleton,
)
from lunart.models.images import Images

METADATA_KEY = "lunart"

#: Settings of the pipeline that belong to the weights, and the weights that may carry them.
SETTINGS: dict[str, dict[str, tuple[type, float, float] | frozenset[str]]] = {
    "segmentation": {
        "segmentation_threshold": (float, 0.0, 1.0),
        "erosion": (int, 0, 5),
        "min_component_mm3": (float, 0.0, 1e6),
    },
    "classification": {
        "nodule_threshold": (float, 0.0, 1.0),
        "crop_border": frozenset({"shift", "pad"}),
        "crop_spacing_mm": (float, 0.1, 10.0),
    },
    "malignancy": {
        "malignancy_threshold": (float, 0.0, 1.0),
        "crop_spacing_mm": (float, 0.1, 10.0),
    },
    CLASSIFIER: {},
}

# Kept from the book's checkpoints; the rest is optimizer state, paths and dates.
_BOOK_FIELDS = ("model_name", "epoch", "totalTrainingSamples_count")


@dataclass(frozen=True)
class Checkpoint:
    """Weights that fit their architecture exactly, float32 and finite."""

    role: str
    architecture: Architecture
    state: Mapping[str, Tensor]
    pipeline: Mapping[str, float | str]
    source: Mapping[str, Any]
    sha256: str
    #: Of a classifier that records them.
    images: Images | None = None

    def module(self) -> nn.Module:
        """The network with these weights, in eval mode, no parameter requiring a gradient."""
        return _filled(self.architecture, {key: t.clone() for key, t in self.state.items()})


def load_checkpoint(path: str | Path, role: str) -> Checkpoint:
    """Read the weights for ``role``, one of :data:`ROLES`.

    Raises ``BundleError`` that names the file and what is wrong: not there, not a checkpoint,
    a pickle that wants other types, another network, missing or surplus keys, wrong shapes,
    NaN or infinite weights, settings that make no sense.
    """
    path = Path(path)
    if not path.exists():
        raise BundleError(f"{path}: no such checkpoint")
    if path.is_dir():
        raise BundleError(f"{path}: a folder; give a checkpoint file (.safetensors, .state, .pt)")
    try:
        if path.suffix == ".safetensors":
            tensors, recorded = _read_safetensors(path)
        else:
            tensors, recorded = _read_pickle(path)
        found = _check_network(tensors, role)
        if "architecture" in recorded:
            architecture = Architecture.from_json(recorded["architecture"], "architecture")
            if architecture.name not in ROLES[role]:
                needs = " or ".join(repr(name) for name in ROLES[role])
                raise BundleError(
                    f"records architecture {architecture.name!r}, the {role} needs {needs}"
                )
        else:
            architecture = infer(found, tensors)
        state = fitted(tensors, architecture)
        pipeline = _settings(recorded.get("pipeline", {}), role)
        images = Images.read(recorded, architecture) if role == CLASSIFIER else None
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror or error})") from error
    except BundleError as error:
        raise BundleError(f"{path}: {error}") from error
    sha256 = sha256_of(path)
    source = {"file": path.name, "sha256": sha256, "metadata": recorded.get("source", {})}
    return Checkpoint(role, architecture, state, pipeline, source, sha256, images)


def load_weights(path: Path, architecture: Architecture) -> nn.Module:
    """The network of a bundle: its recorded architecture with the weights of a safetensors."""
    try:
        return _filled(architecture, fitted(_read_safetensors(path)[0], architecture))
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror or error})") from error
    except BundleError as error:
        raise BundleError(f"{path}: {error}") from error


def _filled(architecture: Architecture, state: Mapping[str, Tensor]) -> nn.Module:
    """The network around these tensors, which it takes as they are."""
    module = skeleton(architecture)
    module.load_state_dict(state, assign=True)
    return module


def save_weights(
    path: Path,
    state: Mapping[str, Tensor],
    architecture: Architecture,
    *,
    pipeline: Mapping[str, float | str] | None = None,
    source: Mapping[str, Any] | None = None,
    images: Images | None = None,
) -> None:
    """Write lunart's ``.safetensors``, whole or not at all.

    ``images`` are a classifier's classes and preprocessing. The same weights and records give the
    same bytes. Raises ``OutputError``.
    """
    recorded = {
        "architecture": architecture.to_json(),
        "pipeline": dict(pipeline or {}),
        "source": dict(source or {}),
        **({} if images is None else images.to_json()),
    }
    # One metadata key only: the library does not keep the order of several.
    metadata = {METADATA_KEY: json.dumps(recorded, sort_keys=True)}
    tensors = {key: state[key].detach().cpu().contiguous() for key in sorted(state)}
    _core.write_file_atomically(path, save(tensors, metadata))


def fitted(tensors: Mapping[str, Tensor], architecture: Architecture) -> dict[str, Tensor]:
    """The tensors as the architecture wants them (float32, its order), or a ``BundleError``.

    ``num_batches_tracked`` may be missing, as in checkpoints of old PyTorch: inference does not
    read it, and it counts as zero.
    """
    expected = skeleton(architecture).state_dict()
    missing = [
        key for key in expected if key not in tensors and not key.endswith("num_batches_tracked")
    ]
    surplus = [key for key in tensors if key not in expected]
    if missing or surplus:
        found = [f"missing keys: {_listed(missing)}"] if missing else []
        found += [f"surplus keys: {_listed(surplus)}"] if surplus else []
        raise BundleError(f"does not fit {architecture}: {'; '.join(found)}")
    wrong = [
        f"{key} is {_shape(tensors[key])}, expected {_shape(tensor)}"
        for key, tensor in expected.items()
        if key in tensors and tensors[key].shape != tensor.shape
    ]
    if wrong:
        raise BundleError(f"does not fit {architecture}: wrong shapes: {_listed(wrong)}")
    state: dict[str, Tensor] = {}
    for key, tensor in expected.items():
        value = tensors.get(key)
        if value is None:
            value = torch.zeros(tensor.shape, dtype=tensor.dtype)
        if value.is_floating_point() != tensor.is_floating_point() or value.is_complex():
            raise BundleError(f"{key} is {value.dtype}, expected {tensor.dtype}")
        state[key] = value.detach().to(tensor.dtype).contiguous().clone()
    bad = [key for key, value in state.items() if not bool(torch.isfinite(value).all())]
    if bad:
        raise BundleError(f"NaN or infinite weights: {_listed(bad)}")
    return state


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            metadata = file.metadata() or {}
    except SafetensorError as error:
        raise BundleError(f"not a safetensors file ({error})") from error
    if METADATA_KEY not in metadata:
        return tensors, {}
    try:
        recorded = json.loads(metadata[METADATA_KEY])
    except ValueError as error:
        raise BundleError(f"metadata {METADATA_KEY!r} is not JSON ({error})") from error
    if not isinstance(recorded, dict):
        raise BundleError(f"metadata {METADATA_KEY!r} is not a JSON object")
    return tensors, recorded


def _read_pickle(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    content = BytesIO(path.read_bytes())
    try:
        with torch.serialization.safe_globals([datetime.datetime]):
            loaded: object = torch.load(content, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle can raise nearly anything
        raise BundleError(_why_not_loaded(str(error))) from error
    if not isinstance(loaded, dict):
        raise BundleError(f"not a checkpoint: it holds a {type(loaded).__name__}, no state_dict")
    recorded: dict[str, Any] = {}
    state: object = loaded
    if "model_state" in loaded:
        state = loaded["model_state"]
        kept = {key: loaded[key] for key in _BOOK_FIELDS if isinstance(loaded.get(key), (int, str))}
        recorded["source"] = kept
    if (
        not isinstance(state, dict)
        or not state
        or not all(isinstance(k, str) and isinstance(v, Tensor) for k, v in state.items())
    ):
        keys = _listed([str(key) for key in loaded]) or "none"
        raise BundleError(
            f"not a checkpoint: neither a state_dict nor 'model_state' (keys: {keys})"
        )
    return dict(state), recorded


def _why_not_loaded(message: str) -> str:
    if "TorchScript" in message:
        return "a TorchScript module, not a checkpoint; give the weights it was made from"
    match = re.search(r"GLOBAL ([\w.]+)", message)
    if match:
        return (
            f"the pickle wants {match[1]!r}, which could run code; only tensors and datetime are "
            "let in: save its state_dict alone, or as .safetensors"
        )
    # PyTorch's own advice, to load without the safeguard, is not passed on.
    match = re.search(r"WeightsUnpickler error: (.{1,80})", message)
    short = "" if message.startswith("Weights only") else message.split("\n", 1)[0]
    reason = (match[1].strip() if match else short) or "damaged"
    return f"not a checkpoint that can be read ({reason})"


def _check_network(tensors: Mapping[str, Tensor], role: str) -> str:
    """The network that the tensors belong to, which the role may have."""
    found = recognise(list(tensors))
    usual = ROLES[role][0]
    wanted = f"{describe(usual)} ({usual})" if role != CLASSIFIER else "an image classifier"
    if found is None:
        raise BundleError(
            f"no network that lunart knows; the {role} needs {wanted}, "
            f"found keys: {_listed(list(tensors))}"
        )
    if found not in ROLES[role]:
        other = " or ".join(f"--{name}" for name, able in ROLES.items() if found in able)
        raise BundleError(
            f"holds {describe(found)} ({found}); --{role} needs {wanted}. Give this file to {other}"
        )
    return found


def _settings(recorded: object, role: str) -> dict[str, float | str]:
    known = SETTINGS[role]
    if not isinstance(recorded, dict):
        raise BundleError(f"pipeline settings are {recorded!r}, an object is expected")
    for key, value in recorded.items():
        if key not in known:
            raise BundleError(
                f"pipeline setting {key!r} is not one of {role} weights ({', '.join(known)})"
            )
        allowed = known[key]
        if isinstance(allowed, frozenset):
            if value not in allowed:
                words = " or ".join(sorted(allowed))
                raise BundleError(f"pipeline setting {key} is {value!r}, expected {words}")
            continue
        kind, low, high = allowed
        good = isinstance(value, (int, kind)) and not isinstance(value, bool)
        if not good or not low <= value <= high:
            raise BundleError(f"pipeline setting {key} is {value!r}, expected {low:g} to {high:g}")
    return dict(recorded)


def _shape(tensor: Tensor) -> str:
    return "x".join(str(size) for size in tensor.shape) or "a scalar"


def _listed(names: list[str], limit: int = 8) -> str:
    shown = ", ".join(names[:limit])
    return f"{shown} and {len(names) - limit} more" if len(names) > limit else shown
