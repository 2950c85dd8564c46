"""Building a bundle: beside its target, proved there, then renamed, so it is whole or absent."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch

from lunart.bundle import (
    MANIFEST,
    NODULES,
    Artifact,
    Bundle,
    FileEntry,
    Golden,
    Model,
    is_bundle,
    listed_files,
)
from lunart.errors import BundleError, CheckError, OutputError, UsageError
from lunart.export.compare import Check
from lunart.export.formats import Format
from lunart.export.golden import write_vectors
from lunart.export.manifest import compose, verification_of, write_manifest
from lunart.export.signature import signature_of
from lunart.export.tasks import TASKS, Task
from lunart.export.verify_artifacts import verify_bundle
from lunart.models.checkpoint import Checkpoint, save_weights
from lunart.networks import torch_threads


def write_bundle(
    target: Path,
    *,
    name: str,
    task: str = NODULES,
    checkpoints: Mapping[str, Checkpoint],
    formats: Sequence[Format],
    on_check: Callable[[Check], None] = lambda check: None,
) -> Bundle:
    """Export ``checkpoints`` (by the bundle's role) to the folder ``target`` and prove them.

    An older bundle at ``target`` is replaced, and kept when anything fails. Raises ``CheckError``
    when an artifact differs from eager, ``OutputError`` when the folder cannot be written or holds
    something else, ``BundleError`` when the networks do not fit one pipeline.
    """
    try:
        # A link keeps pointing where it points. Not Path.resolve, which raises RuntimeError when
        # links run in a circle.
        target = Path(os.path.realpath(target))
        _check_target(target)
        with _workspace(target) as root:
            draft = _Draft(root, name, task, TASKS[task].settings(checkpoints))
            for role, checkpoint in checkpoints.items():
                draft.add_weights(role, checkpoint)
            draft.check_settings()
            for role, checkpoint in checkpoints.items():
                draft.add_artifacts(role, checkpoint.module(), formats)
            draft.add_golden()
            checks = draft.verify(on_check)
            _require_passed(checks)
            _install(root, target)
    except OSError as error:
        raise OutputError(
            f"{target}: the bundle cannot be written ({error.strerror or error})"
        ) from error
    return Bundle.open(target)


@dataclass
class _Draft:
    """A bundle that grows in its temporary folder, with a valid manifest at every step."""

    root: Path
    name: str
    task: str
    settings: Mapping[str, Any]
    created: datetime = field(default_factory=lambda: datetime.now(timezone.utc))
    models: dict[str, Model] = field(default_factory=dict)
    golden: Golden = field(default_factory=lambda: Golden({}))
    opset: int | None = None

    def add_weights(self, role: str, checkpoint: Checkpoint) -> None:
        (self.root / role).mkdir()
        weights = f"{role}/weights.safetensors"
        save_weights(
            self.root / weights,
            checkpoint.state,
            checkpoint.architecture,
            pipeline=checkpoint.pipeline,
            source=checkpoint.source,
            images=checkpoint.images,
        )
        self.models[role] = Model(
            name=role,
            architecture=checkpoint.architecture,
            signature=signature_of(checkpoint.architecture),
            weights=FileEntry.of(self.root, weights),
            source=checkpoint.source,
            artifacts=(),
        )

    def check_settings(self) -> None:
        """Let the core judge what the weights say, before anything that takes long."""
        try:
            self.save()
        except BundleError as error:
            files = ", ".join(str(model.source["file"]) for model in self.models.values())
            reason = str(error).removeprefix(f"{self.root / MANIFEST}: ")
            raise BundleError(f"{files}: {reason}") from error

    def add_artifacts(self, role: str, module: torch.nn.Module, formats: Sequence[Format]) -> None:
        for entry in formats:
            self._add_artifact(role, module, entry)

    def add_golden(self) -> None:
        bundle = self.save()
        networks = {model: write_vectors(bundle, model) for model in bundle.models}
        self.golden = Golden(networks)
        # The native core opens the bundle for the golden result.
        bundle = self.save()
        with torch_threads(1):
            self.golden = Golden(networks, **self.parts.write_golden(bundle))

    def verify(self, on_check: Callable[[Check], None]) -> list[Check]:
        bundle = self.save()
        checks: list[Check] = []
        for check in verify_bundle(bundle):
            checks.append(check)
            on_check(check)
        inputs = [
            {"model": model.name, "case": probe.case, "shape": list(probe.array.shape)}
            for model in bundle.models.values()
            for probe in self.parts.probes(bundle, model)
        ]
        # A failing draft is thrown away, and its numbers may be infinite.
        if all(check.passed for check in checks):
            self._save(inputs, checks, self.parts.lower_precisions(bundle))
        return checks

    def save(self) -> Bundle:
        """Write the manifest of what is there, and read it back."""
        return self._save([], [], {})

    @property
    def parts(self) -> Task:
        return TASKS[self.task]

    def _save(
        self, inputs: list[dict[str, Any]], checks: list[Check], precisions: Mapping[str, Any]
    ) -> Bundle:
        manifest = compose(
            name=self.name,
            task=self.task,
            created=self.created,
            models=self.models,
            settings=self.settings,
            opset=self.opset,
            golden=self.golden,
            verification=verification_of(self.parts.limits(), inputs, checks, precisions),
        )
        write_manifest(self.root, manifest)
        return Bundle.open(self.root)

    def _add_artifact(self, role: str, module: torch.nn.Module, entry: Format) -> None:
        model = self.models[role]
        file = f"{role}/{entry.name}{entry.suffix}"
        entry.exporter()(module, _example(model), model.signature, self.root / file)
        if entry.format == "onnx":
            from lunart.export.onnx import opset_of

            self.opset = opset_of(self.root / file)
        native_code = None
        if entry.format == "aotinductor":
            from lunart.export.aotinductor import native_code_of

            native_code = native_code_of(self.root / file)
        artifact = Artifact(
            entry.name, entry.format, "f32", FileEntry.of(self.root, file), native_code
        )
        self.models[role] = replace(model, artifacts=(*model.artifacts, artifact))


def _example(model: Model) -> torch.Tensor:
    """A batch of two, since a size of one would be taken for a constant."""
    sizes = {"batch": 2, "height": 12 * model.signature.multiple_of}
    sizes["width"] = sizes["height"] + model.signature.multiple_of
    shape = [sizes[s] if isinstance(s, str) else s for s in model.signature.inputs[0].shape]
    generator = torch.Generator().manual_seed(0)
    return torch.rand(shape, generator=generator) * 2000 - 1000


def _require_passed(checks: Sequence[Check]) -> None:
    wrong = [check for check in checks if not check.passed]
    if wrong or not checks:
        first = f", the first: {wrong[0].line}" if wrong else ""
        raise CheckError(
            f"{len(wrong)} of {len(checks)} checks failed{first}; no bundle was written"
        )


def _check_target(target: Path) -> None:
    if not target.name:
        raise UsageError(f"--output {target}: give the bundle's own folder")
    if not target.exists():
        return
    if not target.is_dir():
        raise OutputError(f"{target}: a file is there; give a folder for the bundle")
    if any(target.iterdir()) and not is_bundle(target):
        raise OutputError(
            f"{target}: the folder holds something that is not a bundle and is left alone; "
            "give another --output"
        )
    surplus = _surplus(target)
    if surplus is not None:
        raise OutputError(
            f"{target}: the bundle there would be replaced, but the folder also holds {surplus}, "
            "which is no file of it; move that away or give another --output"
        )


def _surplus(target: Path) -> str | None:
    """The first file under an older bundle that its manifest does not list: a user's own."""
    listed = listed_files(target)
    for folder, folders, files in os.walk(target, onerror=_raise):
        here = Path(folder)
        # A link to a folder is a thing of its own, and not what it points at.
        links = [name for name in folders if (here / name).is_symlink()]
        for name in sorted(files + links):
            file = (here / name).relative_to(target).as_posix()
            if file not in listed:
                return file
        folders.sort()
    return None


def _raise(error: OSError) -> None:
    raise error


@contextmanager
def _workspace(target: Path) -> Iterator[Path]:
    """A folder on the target's file system, removed unless it was renamed to the target."""
    target.parent.mkdir(parents=True, exist_ok=True)
    root = target.parent / f".{target.name}.tmp-{os.getpid()}"
    for left in target.parent.glob(f".{target.name}.tmp-*"):
        if not _is_running(left.name.rpartition("-")[2]):  # an export that was killed
            shutil.rmtree(left, ignore_errors=True)
    root.mkdir()
    try:
        yield root
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _is_running(pid: str) -> bool:
    if not pid.isdigit() or int(pid) == os.getpid():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def _install(root: Path, target: Path) -> None:
    """Rename the finished folder to its place; what was there comes back if that fails."""
    _check_target(target)  # again: an export takes long, and what is there is deleted
    old = target.parent / f".{target.name}.old-{os.getpid()}"
    shutil.rmtree(old, ignore_errors=True)
    replaced = target.exists()
    if replaced:
        target.rename(old)
    try:
        root.rename(target)
    except BaseException:
        if replaced:
            old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)
