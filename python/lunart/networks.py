"""Running one model of a bundle on one array, for verification and for Python's own engines.

``eager`` is the network rebuilt in PyTorch; every other engine is the core's, but for
``onnxruntime`` where the core has it not: then the wheel's session runs. A network here is a
function from a float32 array to its outputs by name; the outputs are what the artifact gives, not
what the manifest promises: the caller compares.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lunart import _core
from lunart.bundle import Bundle, Model
from lunart.errors import EngineError
from lunart.registry import EAGER, runs_in_python

FloatArray = NDArray[np.float32]
#: Input ``(batch, channels, ...)`` float32, HU clamped to the bundle's window.
NetworkFunction = Callable[[FloatArray], dict[str, NDArray[Any]]]


def open_network(
    bundle: Bundle | str | Path,
    model: str,
    engine: str,
    threads: int | None = None,
    precision: str = "f32",
) -> NetworkFunction:
    """A function that runs ``model`` in ``engine``.

    ``threads`` of None leaves the number to the engine. Raises ``BundleError`` when the bundle has
    no such model, ``UsageError`` for an engine that nobody knows, ``EngineError`` when the engine
    is not installed, has not the precision, or finds no artifact that it can run.
    """
    opened = bundle if isinstance(bundle, Bundle) else Bundle.open(bundle)
    entry = opened.model(model)
    if not runs_in_python(engine):
        return _native(opened, entry, engine, threads, precision)
    require_f32(engine, precision)
    if engine == EAGER:
        return _eager(opened, entry, threads)
    return _onnxruntime(opened.file(entry.artifact("onnx").entry), entry, threads)


def require_f32(engine: str, precision: str) -> None:
    """Raise ``EngineError``: what runs in Python computes in float32."""
    if precision != "f32":
        raise EngineError(
            f"{engine}: does not compute in {precision}; use precision='f32', or engine='openvino'"
        )


@contextmanager
def torch_threads(threads: int | None) -> Iterator[None]:
    """Run PyTorch with so many threads (None: as it is); the last bits of results depend on it."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _eager(bundle: Bundle, entry: Model, threads: int | None) -> NetworkFunction:
    import torch

    module = bundle.eager(entry.name)

    def run(array: FloatArray) -> dict[str, NDArray[Any]]:
        # Grad mode and thread count belong to the thread, and the pipeline calls from its own.
        with torch.inference_mode(), torch_threads(threads):
            result = module(torch.from_numpy(np.ascontiguousarray(array)))
        tensors = result if isinstance(result, tuple) else (result,)
        return _named(entry, [tensor.numpy() for tensor in tensors])

    return run


def _onnxruntime(path: Path, entry: Model, threads: int | None) -> NetworkFunction:
    try:
        import onnxruntime  # type: ignore[import-untyped]
    except ModuleNotFoundError as error:
        raise EngineError(
            "onnxruntime is not installed: pip install 'lunart[onnxruntime]'"
        ) from error
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # Its pool would spin against PyTorch's when both run in one process.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if threads is not None:
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(
            str(path), sess_options=options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # its exception classes are private
        raise EngineError(f"{path}: onnxruntime cannot load it ({_first_line(error)})") from error
    expected = [spec.name for spec in entry.signature.inputs]
    names = [node.name for node in session.get_inputs()]
    if names != expected:
        raise EngineError(f"{path}: its inputs are {names}, the manifest says {expected}")
    outputs = [node.name for node in session.get_outputs()]

    def run(array: FloatArray) -> dict[str, NDArray[Any]]:
        try:
            results = session.run(outputs, {names[0]: np.ascontiguousarray(array)})
        except Exception as error:  # its exception classes are private
            raise EngineError(f"{path}: onnxruntime failed ({_first_line(error)})") from error
        return {name: np.asarray(value) for name, value in zip(outputs, results, strict=True)}

    return run


def _native(
    bundle: Bundle, entry: Model, engine: str, threads: int | None, precision: str
) -> NetworkFunction:
    network = _core.Network(str(bundle.path), entry.name, engine, threads or 0, precision)

    def run(array: FloatArray) -> dict[str, NDArray[Any]]:
        return _named(entry, network(np.ascontiguousarray(array)))

    return run


def _named(entry: Model, arrays: Sequence[NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Names by position; an output that the manifest does not know is called after its place."""
    names = [spec.name for spec in entry.signature.outputs]
    names += [f"output {index}" for index in range(len(names), len(arrays))]
    return dict(zip(names, arrays, strict=False))


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
