"""Networks that run in Python, as the C++ pipeline calls them back.

``eager`` is PyTorch rebuilt from the bundle's weights, the reference of every proof;
``onnxruntime`` is the session of its wheel, where the core has no ONNX Runtime.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib import metadata
from typing import Any

from numpy.typing import NDArray

from lunart import _core
from lunart.bundle import Bundle
from lunart.errors import EngineError
from lunart.networks import FloatArray, NetworkFunction, open_network, require_f32
from lunart.registry import EAGER, ONNXRUNTIME

#: Engine name -> (artifact that it runs, package that it comes from, extra that installs it).
PYTHON_ENGINES = {
    EAGER: (EAGER, "torch", "torch"),
    ONNXRUNTIME: ("onnx", "onnxruntime", "onnxruntime"),
}

#: What the core calls: the outputs in the manifest's order.
CoreFunction = Callable[[FloatArray], list[NDArray[Any]]]


def callable_networks(
    bundle: str | os.PathLike[str], engine: str, threads: int | None, precision: str = "f32"
) -> tuple[dict[str, CoreFunction], str]:
    """A function for each model of the bundle, and the version of what runs them.

    ``threads`` None: every processor this process may use.
    Raises ``BundleError``, or ``EngineError`` when the engine's package is not installed or has
    not the precision.
    """
    require_f32(engine, precision)
    _, package, extra = PYTHON_ENGINES[engine]
    try:
        version = metadata.version(package)
    except metadata.PackageNotFoundError as error:
        raise EngineError(
            f"{engine}: {package} is not installed: pip install 'lunart[{extra}]'"
        ) from error
    opened = Bundle.open(os.fspath(bundle))
    # A number, never an engine's own choice: the result tells how many threads ran.
    count = _core.thread_count(threads or 0)
    networks = {}
    for model in opened.models.values():
        network = open_network(opened, model.name, engine, count)
        names = [spec.name for spec in model.signature.outputs]
        networks[model.name] = _in_order(network, names, f"{engine}, model {model.name}")
    return networks, version


def _in_order(network: NetworkFunction, names: list[str], where: str) -> CoreFunction:
    def run(array: FloatArray) -> list[NDArray[Any]]:
        outputs = network(array)
        missing = [name for name in names if name not in outputs]
        if missing:
            raise EngineError(
                f"{where}: output {missing[0]!r} is missing (it has {', '.join(outputs)}); "
                "the artifact does not fit the manifest: run luna-verify"
            )
        return [outputs[name] for name in names]

    return run
