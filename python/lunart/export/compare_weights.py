"""Whether an artifact holds exactly the bundle's weights, and is frozen.

A changed weight can be too small for the outputs to show, so weights are compared bit for bit. The
exporters keep every weight under its ``state_dict`` name; only the batch counters, which inference
never reads, are dropped by ONNX. Native code keeps no names, so there is nothing to compare: only
that it can be read is seen here, and its outputs have to do.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from lunart.bundle import Bundle, Model
from lunart.errors import EngineError
from lunart.export.compare import Check, Subject, failed

_Arrays = dict[str, NDArray[np.generic]]
_OUTPUT = "parameters"
# A float constant of a graph up to this size is an attribute (an epsilon, a scale), not a weight.
_SMALL = 8


def compare_weights(bundle: Bundle, model: Model, artifact: str) -> Check:
    """One check over all parameters and buffers of an artifact."""
    subject = Subject(model.name, artifact, "weights")
    entry = model.artifact(artifact)
    path = bundle.file(entry.entry)
    if entry.format == "aotinductor":
        _require_whole(path)
        return Check(subject, _OUTPUT, True, "not compared: native code keeps no names")
    weights: _Arrays = dict(load_file(bundle.file(model.weights)))
    if entry.format == "onnx":
        found = _onnx(path)
        weights = {k: v for k, v in weights.items() if not k.endswith("num_batches_tracked")}
    else:
        found, thawed = _torchscript(path)
        if thawed:
            return failed(subject, _OUTPUT, f"not frozen: {_listed(thawed)}")
    missing = [key for key in weights if key not in found]
    surplus = [key for key in found if key not in weights]
    if missing or surplus:
        parts = [f"missing {_listed(missing)}"] if missing else []
        parts += [f"surplus {_listed(surplus)}"] if surplus else []
        return failed(subject, _OUTPUT, "; ".join(parts))
    changed = [key for key in weights if not _same_bits(weights[key], found[key])]
    if changed:
        key = changed[0]
        worst = _largest_difference(weights[key], found[key])
        text = f"{len(changed)} of {len(weights)} tensors changed: {_listed(changed)}"
        return Check(
            subject, _OUTPUT, False, f"{text} (max abs {worst:.2e} in {key})", worst, worst, worst
        )
    return Check(subject, _OUTPUT, True, f"{len(weights)} tensors bit-equal")


def _require_whole(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        damaged = archive.testzip()
    if damaged is not None:
        raise EngineError(f"{path}: {damaged} is damaged")


def _torchscript(path: Path) -> tuple[_Arrays, list[str]]:
    from lunart.export.torchscript_archive import load_module

    module = load_module(path)
    thawed = [name for name, value in module.named_parameters() if value.requires_grad]
    thawed += [
        f"{name or 'the module'} trains" for name, part in module.named_modules() if part.training
    ]
    arrays = {key: value.detach().numpy() for key, value in module.state_dict().items()}
    return arrays, thawed


def _onnx(path: Path) -> _Arrays:
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(str(path), load_external_data=False).graph
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        for attribute in node.attribute if node.op_type == "Constant" else ():
            if attribute.HasField("t"):
                tensors[node.output[0]] = attribute.t
    arrays: _Arrays = {name: numpy_helper.to_array(tensor) for name, tensor in tensors.items()}
    return {
        name: array
        for name, array in arrays.items()
        if "." in name or (array.dtype.kind == "f" and array.size > _SMALL)
    }


def _same_bits(left: NDArray[np.generic], right: NDArray[np.generic]) -> bool:
    return (
        left.shape == right.shape
        and left.dtype == right.dtype
        and left.tobytes() == right.tobytes()
    )


def _largest_difference(left: NDArray[np.generic], right: NDArray[np.generic]) -> float:
    if left.shape != right.shape:
        return float("inf")
    return float(np.abs(left.astype(np.float64) - right.astype(np.float64)).max(initial=0.0))


def _listed(names: list[str], limit: int = 4) -> str:
    shown = ", ".join(names[:limit])
    return f"{shown} and {len(names) - limit} more" if len(names) > limit else shown
