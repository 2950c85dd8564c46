"""AOTInductor: native code for this machine's instruction set and this version of libtorch.

What PyTorch packages is written anew: the shared object and its metadata under fixed names, without
sources and this machine's paths, and beside them what the native engine must know. The code checks
no input: ``extra/input`` has a line for each axis (least, most, step); the engine refuses others.
"""

from __future__ import annotations

import copy
import platform
import shlex
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn
from torch._inductor import config, cpu_vec_isa
from torch._inductor.cpp_builder import get_cpp_compiler
from torch._inductor.runtime.cache_dir_utils import temporary_cache_dir

from lunart.bundle import NativeCode, Signature
from lunart.errors import EngineError
from lunart.export.free_axes import free_axes

_KNOWN_WARNINGS: tuple[tuple[str, type[Warning]], ...] = (
    (r"`torch\.jit\.script_method` is deprecated", DeprecationWarning),
)
_ROOT = "archive"
_DATE = (1980, 1, 1, 0, 0, 0)
_NATIVE = ("instruction_set", "torch")
# No axis is longer: where the signature has no limit.
_MOST = 1 << 20
# What a level of x86-64 brings with it.
_IMPLIED = {"avx2", "avx512bw", "avx512dq", "avx512f", "avx512vl", "f16c", "fma"}


def export(module: nn.Module, example: Tensor, signature: Signature, target: Path) -> None:
    """Compile ``module``, frozen and with channels last; symbolic axes stay free.

    Raises ``EngineError`` when this machine has no C++ compiler or a processor without AVX2.
    """
    with TemporaryDirectory(prefix="lunart-aotinductor-") as name, _quiet(), torch.no_grad():
        folder = Path(name)
        with temporary_cache_dir(str(folder / "cache")), config.patch(_settings(folder)):
            instruction_set, level = _instruction_set()
            fast = copy.deepcopy(module)
            if example.dim() == 4:  # one channel of a crop lies in memory so anyway
                fast = fast.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
                example = example.contiguous(memory_format=torch.channels_last)
            program = torch.export.export(fast, (example,), dynamic_shapes=(free_axes(signature),))
            package = folder / "model.pt2"
            try:
                torch._inductor.aoti_compile_and_package(
                    program, package_path=str(package), inductor_configs={"cpp.march": level}
                )
            except Exception as error:  # inductor wraps whatever went wrong in classes of its own
                reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
                raise EngineError(f"aotinductor: PyTorch cannot compile it ({reason})") from error
        _write(
            package,
            target,
            {
                "input": _input_rules(signature),
                "instruction_set": instruction_set,
                "torch": torch.__version__.split("+")[0],
            },
        )


def native_code_of(path: Path) -> NativeCode:
    """What an artifact was compiled for."""
    with zipfile.ZipFile(path) as archive:
        return NativeCode(**{key: archive.read(f"{_ROOT}/extra/{key}").decode() for key in _NATIVE})


def _settings(folder: Path) -> dict[str, Any]:
    """Settings of the compiler, which runs through a script that hides this machine's paths."""
    try:
        compiler = get_cpp_compiler()
    except RuntimeError as error:
        raise EngineError(
            "aotinductor: no C++ compiler was found; install g++ (or name one in CXX), or export "
            "another --format"
        ) from error
    script = folder / Path(compiler).name
    hidden = {str(folder): ".", str(Path(torch.__file__).parent): "torch"}
    maps = (f"-ffile-prefix-map={path}={to}" for path, to in hidden.items())
    command = " ".join(shlex.quote(word) for word in (compiler, *maps))
    script.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
    script.chmod(0o700)
    return {
        "freezing": True,
        "compile_threads": 1,  # no pool of processes that outlives us
        "cpp.cxx": (str(script),),
        "cpp.vec_isa_ok": True,  # the processor is asked; no test programs
        "cpp.dynamic_threads": True,  # as many as the engine says, not as this machine has
        "cpp_cache_precompile_headers": False,  # they would be kept outside the folder
        "aot_inductor.precompile_headers": False,
        "aot_inductor.enable_line_tables": False,
    }


def _instruction_set() -> tuple[str, str]:
    """What the code may use, and the level of x86-64 in it."""
    picked = cpu_vec_isa.pick_vec_isa()
    if platform.machine() != "x86_64" or not picked:
        raise EngineError(
            "aotinductor: this processor is no x86-64 with AVX2; export another --format"
        )
    level = "x86-64-v4" if "avx512" in str(picked) else "x86-64-v3"
    flags = {flag.removeprefix("-m") for flag in picked.build_arch_flags().split()} - _IMPLIED
    # AMX is for reduced precisions, and compilers do not use it unasked.
    extensions = sorted(flag for flag in flags if not flag.startswith("amx"))
    return " ".join([level, *extensions]), level


def _input_rules(signature: Signature) -> str:
    lines = []
    for size in signature.inputs[0].shape:
        if isinstance(size, int):
            lines.append(f"{size} {size} 1")
        elif size == "batch":
            lines.append(f"{signature.batch[0]} {signature.batch[1]} 1")
        else:
            lines.append(f"{signature.multiple_of} {_MOST} {signature.multiple_of}")
    return "\n".join(lines)


def _write(package: Path, target: Path, extra: Mapping[str, str]) -> None:
    with zipfile.ZipFile(package) as made, zipfile.ZipFile(target, "w") as written:

        def put(name: str, content: bytes) -> None:
            written.writestr(zipfile.ZipInfo(f"{_ROOT}/{name}", _DATE), content)

        for info in made.infolist():
            name = info.filename.split("/", 1)[1]
            if name in ("archive_format", "archive_version", "byteorder", ".data/version"):
                put(name, made.read(info))
            elif name.endswith(".wrapper.so"):
                put("data/aotinductor/model/model.so", made.read(info))
            elif name.endswith(".wrapper_metadata.json"):
                put("data/aotinductor/model/model_metadata.json", made.read(info))
        for name, text in extra.items():
            put(f"extra/{name}", text.encode())


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence what PyTorch's own compiler uses of PyTorch that is deprecated."""
    with warnings.catch_warnings():
        for message, category in _KNOWN_WARNINGS:
            warnings.filterwarnings("ignore", message=message, category=category)
        yield
