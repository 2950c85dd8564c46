"""What tracing and scripting share: saving and loading TorchScript reproducibly.

As PyTorch saves a module, its archive holds this machine's source paths and line numbers
(``.debug_pkl``), the file's own name, class names numbered by everything that the process scripted
before, and constants in the order of a hash set. Here classes are compiled in an empty unit, debug
records are dropped, and what remains is put in one order: the same weights give the same bytes.
"""

from __future__ import annotations

import re
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import torch
import torch.jit._recursive as recursive
import torch.jit._state as state

from lunart.errors import EngineError

_ROOT = "archive"
# Any legal zip date would do; this is the one that PyTorch's own writer stands for.
_DATE = (1980, 1, 1, 0, 0, 0)
_CONSTANTS = re.compile(rb"(?:^  \w+ : Final\[.*\n)+", re.MULTILINE)


@contextmanager
def empty_unit() -> Iterator[None]:
    """Compile into a unit of its own, so that class names do not depend on what ran before."""
    unit, store, cache = state._python_cu, recursive.concrete_type_store, state._jit_caching_layer
    cached = dict(cache)
    state._python_cu = torch._C.CompilationUnit()
    recursive.concrete_type_store = recursive.ConcreteTypeStore()
    cache.clear()
    try:
        yield
    finally:
        state._python_cu = unit
        recursive.concrete_type_store = store
        cache.clear()
        cache.update(cached)


def save_module(module: torch.jit.ScriptModule, target: Path) -> None:
    """Write ``module`` to ``target`` as an archive without paths, dates or an order of chance."""
    buffer = BytesIO()
    with quiet("save"):
        torch.jit.save(module, buffer)
    with zipfile.ZipFile(buffer) as saved, zipfile.ZipFile(target, "w") as written:
        for info in saved.infolist():
            name = info.filename.split("/", 1)[1]
            if name.endswith(".debug_pkl") or name.startswith((".data/", "traced_inputs")):
                continue
            content = saved.read(info)
            if name.startswith("code/"):
                content = _CONSTANTS.sub(_sorted_lines, content)
            written.writestr(zipfile.ZipInfo(f"{_ROOT}/{name}", _DATE), content)


def load_module(path: Path) -> torch.jit.ScriptModule:
    """The TorchScript module in a file, on the CPU; ``EngineError`` when libtorch refuses it."""
    try:
        with quiet("load"):
            module: torch.jit.ScriptModule = torch.jit.load(  # type: ignore[no-untyped-call]
                str(path), map_location="cpu"
            )
            return module
    except Exception as error:  # libtorch raises RuntimeError, ValueError and others
        reason = (str(error).splitlines() or ["damaged"])[0]
        raise EngineError(f"{path}: libtorch cannot load it ({reason})") from error


@contextmanager
def quiet(*functions: str) -> Iterator[None]:
    """Silence PyTorch's notice that these functions of ``torch.jit`` are deprecated."""
    with warnings.catch_warnings():
        for function in functions:
            warnings.filterwarnings(
                "ignore",
                message=rf"`torch\.jit\.{function}` is deprecated",
                category=DeprecationWarning,
            )
        yield


def _sorted_lines(match: re.Match[bytes]) -> bytes:
    return b"".join(sorted(match[0].splitlines(keepends=True)))
