"""ONNX through PyTorch's Dynamo exporter: one file, symbolic batch, height and width.

The exporter can be silently wrong, which is why verification runs batches above one and a second
size. What it records for debugging (stack traces with this machine's paths) is stripped.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import onnx
import onnx_ir
import torch
from onnx_ir.passes import common
from onnxscript.optimizer import fold_constants
from onnxscript.rewriter import rewrite
from onnxscript.rewriter.rules.common import (
    materialize_reshape_shape_rule,
    remove_optional_bias_from_conv_rule,
)
from torch import Tensor, nn

from lunart.bundle import Signature
from lunart.export.free_axes import free_axes

# A bias of zeros where a convolution has none, and a shape computed from the batch.
_RULES = [remove_optional_bias_from_conv_rule, materialize_reshape_shape_rule]
_REGISTRATION_LOG = "torch.onnx._internal.exporter._registration"


def export(module: nn.Module, example: Tensor, signature: Signature, target: Path) -> None:
    """Write ``module`` as ONNX with the signature's names and symbolic axes."""
    with _quiet(), torch.no_grad():
        program = torch.onnx.export(
            module,
            (example,),
            dynamo=True,
            dynamic_shapes=(free_axes(signature),),
            input_names=[spec.name for spec in signature.inputs],
            output_names=[spec.name for spec in signature.outputs],
            external_data=False,
            verbose=False,
            # Its own rules fold batch norms and merge equal weights, whose names then are gone.
            optimize=False,
        )
    if program is None:
        raise RuntimeError("torch.onnx.export returned no program")
    proto = _simplified(program.model_proto)
    _strip(proto)
    _name_axes(proto, signature)
    onnx.checker.check_model(proto, full_check=True)
    target.write_bytes(proto.SerializeToString(deterministic=True))


def _simplified(proto: onnx.ModelProto) -> onnx.ModelProto:
    """Without what can be computed now; every weight stays, under its name."""
    model = onnx_ir.from_proto(proto)
    fold_constants(model)
    rewrite(model, _RULES)
    for step in (
        common.RemoveUnusedNodesPass(),
        common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0),
    ):
        step(model)
    return onnx_ir.to_proto(model)


def opset_of(path: Path) -> int:
    """The version of the standard operators that a file uses."""
    proto = onnx.load(str(path), load_external_data=False)
    return int(next(e.version for e in proto.opset_import if e.domain in ("", "ai.onnx")))


def _name_axes(proto: onnx.ModelProto, signature: Signature) -> None:
    """Give inputs and outputs the axis names of the manifest ("height", not "4*height_steps")."""
    specs = (*signature.inputs, *signature.outputs)
    values = (*proto.graph.input, *proto.graph.output)
    for spec, value in zip(specs, values, strict=True):
        for size, dimension in zip(spec.shape, value.type.tensor_type.shape.dim, strict=True):
            if isinstance(size, str):
                dimension.dim_param = size


def _strip(proto: onnx.ModelProto) -> None:
    """Remove stack traces, documentation and the build of PyTorch; keep the standard's content."""
    graph = proto.graph
    for item in (proto, graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
        del item.metadata_props[:]
        item.doc_string = ""
    # Intermediate shapes are spelled in the exporter's own symbols; runtimes infer them anew.
    del graph.value_info[:]
    proto.producer_version = torch.__version__.split("+")[0]


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter's use of an old pytree name, and its search for torchvision."""
    log = logging.getLogger(_REGISTRATION_LOG)
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings(
                "ignore",
                message=r"`isinstance\(treespec, LeafSpec\)` is deprecated",
                category=FutureWarning,
            )
            yield
    finally:
        log.setLevel(level)
