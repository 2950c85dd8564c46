"""A small bundle that classifies images, made by hand: a linear network over every pixel.

Its logits depend on every pixel and channel, so that a wrong order, size or scale shows.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from lunart import _core
from lunart.export import limits
from lunart.export.torchscript_trace import export
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from safetensors.numpy import save_file
from torch import Tensor, nn

FloatArray = NDArray[np.float32]
MODEL = "classification"
CLASSES = ("bird", "airplane", "cat")
SIDE = 8
PLAIN: dict[str, Any] = {
    "resize": None,
    "center_crop": None,
    "scale": 0.00392156862745098,
    "mean": [0.4915, 0.4823, 0.4468],
    "deviation": [0.247, 0.2435, 0.2616],
}


class Linear(nn.Module):
    """Every pixel times a weight."""

    def __init__(self, classes: int = len(CLASSES), side: int = SIDE) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.head = nn.Linear(3 * side * side, classes)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.head(image.flatten(1))
        return logits, torch.softmax(logits, 1)


def outputs_of(images: FloatArray) -> list[FloatArray]:
    """The network in float64, for a batch (n, 3, rows, cols)."""
    head = Linear().head
    flat = images.reshape(len(images), -1).astype(np.float64)
    logits = flat @ head.weight.detach().numpy().T + head.bias.detach().numpy()
    raised = np.exp(logits - logits.max(1, keepdims=True))
    probability = raised / raised.sum(1, keepdims=True)
    return [logits.astype(np.float32), probability.astype(np.float32)]


def write_bundle(folder: Path, **preprocess: Any) -> Path:
    """A bundle with TorchScript and ONNX artifacts and golden data."""
    (folder / MODEL).mkdir(parents=True)
    (folder / "golden").mkdir()
    network = Linear().requires_grad_(False).eval()
    weights = {name: value.numpy() for name, value in network.state_dict().items()}
    save_file(weights, folder / MODEL / "weights.safetensors")
    trace = folder / MODEL / "torchscript-trace.pt"
    export(network, torch.rand(2, 3, SIDE, SIDE), None, trace)  # type: ignore[arg-type]
    _write_onnx(folder / MODEL / "onnx.onnx", weights)
    golden = np.random.default_rng(1).normal(size=(2, 3, SIDE, SIDE)).astype(np.float32)
    logits, probability = outputs_of(golden)
    save_file(
        {"case.input": golden, "case.logits": logits, "case.probability": probability},
        folder / "golden" / f"{MODEL}.safetensors",
    )
    Image.fromarray(picture(SIDE, SIDE)).save(folder / "golden" / "image.png")
    manifest = manifest_of(folder, {**PLAIN, **preprocess})
    _write(folder, manifest)
    result = json.loads(handmade(folder).classify([_golden_image(folder)])[0].to_json())
    for volatile in ("timings_s", "peak_rss_mb", "bundle"):
        del result[volatile]
    del result["image"]["path"]
    (folder / "golden" / "image.json").write_text(json.dumps(result))
    manifest["golden"] |= {
        "image": _entry(folder, "golden/image.png"),
        "result": _entry(folder, "golden/image.json"),
    }
    return _write(folder, manifest)


def manifest_of(folder: Path, preprocess: dict[str, Any]) -> dict[str, Any]:
    """Without the golden image."""
    return {
        "schema": "lunart.bundle/2",
        "name": "handmade-images",
        "task": "image-classification",
        "created": "2026-01-01T00:00:00Z",
        "made_by": {"lunart": "0", "torch": torch.__version__.split("+")[0]},
        "models": {MODEL: _model(folder)},
        "classes": list(CLASSES),
        "preprocess": preprocess,
        "golden": {"networks": {MODEL: _entry(folder, f"golden/{MODEL}.safetensors")}},
        "verification": {"limits": limits.of_images(), "precisions": {}},
    }


def handmade(
    bundle: Path, network: Callable[[FloatArray], list[FloatArray]] = outputs_of
) -> _core.Classifier:
    """The core's classifier over a network written in Python."""
    return _core.Classifier(
        bundle=str(bundle),
        engine="handmade",
        threads=1,
        networks={MODEL: network},
        version="1",
        precision="f32",
    )


def picture(rows: int, cols: int, seed: int = 0) -> NDArray[np.uint8]:
    """Random 8-bit RGB."""
    return np.random.default_rng(seed).integers(0, 256, (rows, cols, 3), dtype=np.uint8)


def _golden_image(folder: Path) -> _core.Image:
    return _core.read_image(folder / "golden" / "image.png")


def _write(folder: Path, manifest: dict[str, Any]) -> Path:
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def _model(folder: Path) -> dict[str, Any]:
    def tensor(name: str, shape: list[str | int], units: str) -> dict[str, Any]:
        return {"name": name, "dtype": "float32", "shape": shape, "units": units}

    return {
        "architecture": {"name": "handmade", "arguments": {}},
        "inputs": [tensor("image", ["batch", 3, SIDE, SIDE], "normalised")],
        "outputs": [
            tensor("logits", ["batch", len(CLASSES)], "logit"),
            tensor("probability", ["batch", len(CLASSES)], "probability"),
        ],
        "multiple_of": 1,
        "batch": {"min": 1, "max": 16},
        "weights": _entry(folder, f"{MODEL}/weights.safetensors"),
        "source": {},
        "artifacts": [
            {
                "name": name,
                "format": name.split("-")[0],
                "precision": "f32",
                **_entry(folder, f"{MODEL}/{file}"),
            }
            for name, file in (("torchscript-trace", "torchscript-trace.pt"), ("onnx", "onnx.onnx"))
        ],
    }


def _entry(folder: Path, file: str) -> dict[str, Any]:
    content = (folder / file).read_bytes()
    return {"file": file, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _write_onnx(path: Path, weights: dict[str, FloatArray]) -> None:
    def value(name: str, shape: list[str | int]) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    graph = helper.make_graph(
        [
            helper.make_node("Flatten", ["image"], ["flat"], axis=1),
            helper.make_node("Gemm", ["flat", "head.weight", "head.bias"], ["logits"], transB=1),
            helper.make_node("Softmax", ["logits"], ["probability"], axis=1),
        ],
        "linear",
        [value("image", ["batch", 3, SIDE, SIDE])],
        [value("logits", ["batch", len(CLASSES)]), value("probability", ["batch", len(CLASSES)])],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    opset = [helper.make_opsetid("", 18)]
    path.write_bytes(
        helper.make_model(graph, opset_imports=opset, ir_version=10).SerializeToString()
    )
