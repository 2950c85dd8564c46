"""Reading a bundle: the folder that ``luna-export`` writes and every engine reads.

The contract is ``docs/bundle.md``. Its rules (schema, roles, paths, sizes, hashes, ranges) are
checked by the core; what is here turns a manifest that the core accepted into values for export,
verification and eager PyTorch. It needs no PyTorch until :meth:`Bundle.eager`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from lunart import _core
from lunart.errors import BundleError

if TYPE_CHECKING:
    from torch import nn

SCHEMA_NAME = "lunart.bundle"
SCHEMA_VERSION = 2
MANIFEST = "manifest.json"

#: What a bundle may be for.
NODULES = "lung-nodules"
IMAGES = "image-classification"

#: The networks of a bundle in the order in which a scan meets them; the last is optional. A bundle
#: of task ``image-classification`` has ``classification`` only.
ROLES = ("segmentation", "classification", "malignancy")

# The core reads no manifest that is larger.
_LARGEST_MANIFEST = 4 << 20

_T = TypeVar("_T")


@dataclass(frozen=True)
class FileEntry:
    """One file of the bundle: a relative POSIX path, its size and its SHA-256."""

    file: str
    bytes: int
    sha256: str

    @classmethod
    def of(cls, root: Path, file: str) -> FileEntry:
        """The entry of a file that exists under ``root``."""
        path = root / file
        return cls(file, path.stat().st_size, sha256_of(path))

    def to_json(self) -> dict[str, Any]:
        return {"file": self.file, "bytes": self.bytes, "sha256": self.sha256}


@dataclass(frozen=True)
class Architecture:
    """A network's class, by its registered name, and the arguments of its constructor."""

    name: str
    arguments: Mapping[str, Any]

    @classmethod
    def from_json(cls, data: object, where: str) -> Architecture:
        return cls(
            name=_field(data, "name", str, where),
            arguments=dict(_field(data, "arguments", dict, where)),
        )

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "arguments": dict(self.arguments)}

    def __str__(self) -> str:
        arguments = ", ".join(f"{key}={value}" for key, value in sorted(self.arguments.items()))
        return f"{self.name}({arguments})"


@dataclass(frozen=True)
class TensorSpec:
    """An input or output; a string in ``shape`` is a symbolic axis (batch, height, width)."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]
    units: str

    @classmethod
    def from_json(cls, data: object, where: str) -> TensorSpec:
        return cls(
            name=_field(data, "name", str, where),
            dtype=_field(data, "dtype", str, where),
            shape=tuple(_field(data, "shape", list, where)),
            units=_field(data, "units", str, where),
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "dtype": self.dtype,
            "shape": list(self.shape),
            "units": self.units,
        }


@dataclass(frozen=True)
class Signature:
    """What goes into a network and what comes out."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    multiple_of: int
    batch: tuple[int, int]

    @classmethod
    def from_json(cls, data: object, where: str) -> Signature:
        limits = _field(data, "batch", dict, where)
        return cls(
            inputs=_each(data, "inputs", TensorSpec.from_json, where),
            outputs=_each(data, "outputs", TensorSpec.from_json, where),
            multiple_of=_field(data, "multiple_of", int, where),
            batch=(
                _field(limits, "min", int, f"{where}.batch"),
                _field(limits, "max", int, f"{where}.batch"),
            ),
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "inputs": [spec.to_json() for spec in self.inputs],
            "outputs": [spec.to_json() for spec in self.outputs],
            "multiple_of": self.multiple_of,
            "batch": {"min": self.batch[0], "max": self.batch[1]},
        }


@dataclass(frozen=True)
class NativeCode:
    """What an artifact of native code was compiled for; it runs on nothing else."""

    instruction_set: str
    torch: str

    def to_json(self) -> dict[str, Any]:
        return {"instruction_set": self.instruction_set, "torch": self.torch}


@dataclass(frozen=True)
class Artifact:
    """One exported form of a network."""

    name: str
    format: str
    precision: str
    entry: FileEntry
    native_code: NativeCode | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "format": self.format,
            "precision": self.precision,
            **({} if self.native_code is None else self.native_code.to_json()),
            **self.entry.to_json(),
        }


@dataclass(frozen=True)
class Model:
    """One network of the bundle: ``segmentation``, ``classification`` or ``malignancy``."""

    name: str
    architecture: Architecture
    signature: Signature
    weights: FileEntry
    source: Mapping[str, Any]
    artifacts: tuple[Artifact, ...]

    def artifact(self, name: str) -> Artifact:
        """The artifact of that name, or a ``BundleError`` that lists those there are."""
        for artifact in self.artifacts:
            if artifact.name == name:
                return artifact
        there = ", ".join(artifact.name for artifact in self.artifacts) or "none"
        raise BundleError(
            f"model {self.name!r} has no artifact {name!r} (it has: {there}); "
            "export it with luna-export --format"
        )


@dataclass(frozen=True)
class Golden:
    """Vectors of each network, and a phantom scan or an image with its eager result."""

    networks: Mapping[str, FileEntry]
    scan: FileEntry | None = None
    image: FileEntry | None = None
    result: FileEntry | None = None


@dataclass(frozen=True)
class Bundle:
    """An opened bundle. ``sha256`` is that of its manifest.

    ``task`` is :data:`NODULES` or :data:`IMAGES`; ``pipeline`` is empty but in the former.
    """

    path: Path
    name: str
    task: str
    sha256: str
    models: Mapping[str, Model]
    pipeline: Mapping[str, Any]
    golden: Golden
    manifest: Mapping[str, Any]

    @classmethod
    def open(cls, path: str | Path) -> Bundle:
        """Read and check the bundle in folder ``path``.

        Raises ``BundleError`` that names the file or the manifest's field and what is wrong:
        no bundle, another schema, a missing, changed or outside file, a field of another type.
        """
        root = Path(path)
        sha256 = _core.check_bundle(root)
        try:
            data = json.loads((root / MANIFEST).read_bytes())
        except (ValueError, RecursionError) as error:
            raise BundleError(f"{root / MANIFEST}: not JSON ({error})") from error
        where = str(root / MANIFEST)
        models = _models(_field(data, "models", dict, where), f"{where}: models")
        return cls(
            path=root,
            name=_field(data, "name", str, where),
            task=_field(data, "task", str, where),
            sha256=sha256,
            models=models,
            # The core has seen to it that the task's own settings are there.
            pipeline=_field(data, "pipeline", dict, where) if "pipeline" in data else {},
            golden=_golden(_field(data, "golden", dict, where), f"{where}: golden"),
            manifest=data,
        )

    def model(self, name: str) -> Model:
        """The model of that name, or a ``BundleError`` that lists those there are."""
        if name not in self.models:
            there = ", ".join(self.models)
            raise BundleError(f"{self.path}: the bundle has no model {name!r} (it has: {there})")
        return self.models[name]

    def file(self, entry: FileEntry) -> Path:
        """Where a file of the bundle is."""
        return self.path / entry.file

    def entries(self) -> Iterator[FileEntry]:
        """Every file that the manifest lists."""
        for model in self.models.values():
            yield model.weights
            for artifact in model.artifacts:
                yield artifact.entry
        yield from self.golden.networks.values()
        for entry in (self.golden.scan, self.golden.image, self.golden.result):
            if entry is not None:
                yield entry

    def eager(self, model: str) -> nn.Module:
        """The network rebuilt in PyTorch from its weights and architecture, in eval mode."""
        from lunart.models.checkpoint import load_weights

        entry = self.model(model)
        return load_weights(self.file(entry.weights), entry.architecture)


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal. Raises ``BundleError`` when it cannot be read."""
    return _core.sha256_of_file(path)


def is_bundle(path: Path) -> bool:
    """Whether a folder holds a manifest of a bundle, of whatever version."""
    return _manifest_at(path) is not None


def listed_files(path: Path) -> set[str]:
    """Every file that the manifest in a folder lists, of whatever version; itself included.

    For telling a bundle's files from a user's, where the bundle may be damaged or of a version
    that :meth:`Bundle.open` refuses. Empty when the folder is no bundle.
    """
    manifest = _manifest_at(path)
    if manifest is None:
        return set()
    files = {MANIFEST}
    waiting: list[Any] = [manifest]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            # A checkpoint that a model came from has no "bytes": it is no file of the bundle.
            if {"file", "bytes", "sha256"} <= set(value) and isinstance(value["file"], str):
                files.add(value["file"])
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
    return files


def _manifest_at(path: Path) -> dict[str, Any] | None:
    file = path / MANIFEST
    try:
        if not file.is_file():  # a pipe would keep us waiting
            return None
        with file.open("rb") as stream:
            content = stream.read(_LARGEST_MANIFEST + 1)
        data = json.loads(content) if len(content) <= _LARGEST_MANIFEST else None
    except (OSError, ValueError, RecursionError):
        return None
    schema = data.get("schema") if isinstance(data, dict) else None
    return data if isinstance(schema, str) and schema.startswith(f"{SCHEMA_NAME}/") else None


def _models(data: dict[str, Any], where: str) -> dict[str, Model]:
    return {role: _model(role, data[role], f"{where}.{role}") for role in ROLES if role in data}


def _model(name: str, data: object, where: str) -> Model:
    return Model(
        name=name,
        architecture=Architecture.from_json(
            _field(data, "architecture", dict, where), f"{where}.architecture"
        ),
        signature=Signature.from_json(data, where),
        weights=_entry(_field(data, "weights", dict, where), f"{where}.weights"),
        source=_field(data, "source", dict, where),
        artifacts=_each(data, "artifacts", _artifact, where),
    )


def _artifact(data: object, where: str) -> Artifact:
    form = _field(data, "format", str, where)
    return Artifact(
        name=_field(data, "name", str, where),
        format=form,
        precision=_field(data, "precision", str, where),
        entry=_entry(data, where),
        native_code=_native_code(data, where) if form == "aotinductor" else None,
    )


def _native_code(data: object, where: str) -> NativeCode:
    return NativeCode(
        instruction_set=_field(data, "instruction_set", str, where),
        torch=_field(data, "torch", str, where),
    )


def _golden(data: dict[str, Any], where: str) -> Golden:
    networks = _field(data, "networks", dict, where)
    return Golden(
        networks={
            name: _entry(value, f"{where}.networks.{name}") for name, value in networks.items()
        },
        scan=_entry(data["scan"], f"{where}.scan") if "scan" in data else None,
        result=_entry(data["result"], f"{where}.result") if "result" in data else None,
        image=_entry(data["image"], f"{where}.image") if "image" in data else None,
    )


def _entry(data: object, where: str) -> FileEntry:
    return FileEntry(
        file=_field(data, "file", str, where),
        bytes=_field(data, "bytes", int, where),
        sha256=_field(data, "sha256", str, where),
    )


def _each(data: object, key: str, read: Any, where: str) -> tuple[Any, ...]:
    items = _field(data, key, list, where)
    return tuple(read(item, f"{where}.{key}[{index}]") for index, item in enumerate(items))


def _field(data: object, key: str, kind: type[_T], where: str) -> _T:
    if not isinstance(data, dict):
        raise BundleError(f"{where}: an object is expected here")
    if key not in data:
        raise BundleError(f"{where}: field {key!r} is missing")
    value = data[key]
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise BundleError(f"{where}: field {key!r} is {value!r}, a {kind.__name__} is expected")
    return value
