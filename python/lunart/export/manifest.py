"""Composing ``manifest.json``: everything put in one order."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from lunart.bundle import MANIFEST, SCHEMA_NAME, SCHEMA_VERSION, FileEntry, Golden, Model
from lunart.export.compare import Check


def compose(
    *,
    name: str,
    task: str,
    created: datetime,
    models: Mapping[str, Model],
    settings: Mapping[str, Any],
    opset: int | None,
    golden: Golden,
    verification: Mapping[str, Any],
) -> dict[str, Any]:
    """The manifest as a dictionary. ``created`` is all that two exports of one model differ in.

    ``settings`` are the fields that belong to the task.
    """
    made_by: dict[str, Any] = {
        "lunart": _version(),
        # Without "+cpu" or "+cu130": the build does not change what is written.
        "torch": torch.__version__.split("+")[0],
    }
    if opset is not None:
        made_by["onnx_opset"] = opset
    return {
        "schema": f"{SCHEMA_NAME}/{SCHEMA_VERSION}",
        "name": name,
        "task": task,
        "created": created.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "made_by": made_by,
        "models": {role: _model(model) for role, model in models.items()},
        **settings,
        "golden": _golden(golden),
        "verification": dict(verification),
    }


def verification_of(
    limits: Mapping[str, Any],
    inputs: list[dict[str, Any]],
    checks: list[Check],
    precisions: Mapping[str, Any],
) -> dict[str, Any]:
    """What was compared, by which limits, every number, and what lower precisions change."""
    return {
        "passed": bool(checks) and all(check.passed for check in checks),
        "reference": "eager",
        "limits": dict(limits),
        "inputs": inputs,
        "checks": [check.to_json() for check in checks],
        "precisions": dict(precisions),
    }


def write_manifest(root: Path, manifest: Mapping[str, Any]) -> None:
    """UTF-8, two spaces, sorted keys, a newline at the end."""
    text = json.dumps(manifest, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    (root / MANIFEST).write_text(f"{text}\n", encoding="utf-8", newline="\n")


def _model(model: Model) -> dict[str, Any]:
    return {
        "architecture": model.architecture.to_json(),
        **model.signature.to_json(),
        "weights": model.weights.to_json(),
        "source": dict(model.source),
        "artifacts": [artifact.to_json() for artifact in model.artifacts],
    }


def _golden(golden: Golden) -> dict[str, Any]:
    data: dict[str, Any] = {
        "networks": {name: entry.to_json() for name, entry in golden.networks.items()}
    }
    for key in ("scan", "image", "result"):
        entry: FileEntry | None = getattr(golden, key)
        if entry is not None:
            data[key] = entry.to_json()
    return data


def _version() -> str:
    try:
        return metadata.version("lunart")
    except metadata.PackageNotFoundError:  # run from the source tree
        return "0.0.0"
