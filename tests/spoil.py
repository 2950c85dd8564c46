"""Spoiling copies of a bundle, as accidents and as tamperers do."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any


def copy_of(bundle: Path, folder: Path) -> Path:
    """A copy of a bundle that may be changed."""
    return Path(shutil.copytree(bundle, folder))


def manifest_of(bundle: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((bundle / "manifest.json").read_text())
    return manifest


def change(bundle: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    """Edit the manifest in place."""
    manifest = manifest_of(bundle)
    change(manifest)
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    return bundle


def entries_of(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    """Every entry of a file in a manifest."""
    found: list[dict[str, Any]] = []

    def visit(node: Any) -> None:
        if isinstance(node, dict):
            if {"file", "bytes", "sha256"} <= set(node):
                found.append(node)
            for value in node.values():
                visit(value)
        elif isinstance(node, list):
            for value in node:
                visit(value)

    visit(manifest["models"])
    visit(manifest["golden"])
    return found


def rehash(bundle: Path) -> Path:
    """Make the manifest agree with the files, as somebody would who tampers with them."""

    def renew(manifest: dict[str, Any]) -> None:
        for entry in entries_of(manifest):
            content = (bundle / entry["file"]).read_bytes()
            entry["bytes"] = len(content)
            entry["sha256"] = hashlib.sha256(content).hexdigest()

    return change(bundle, renew)


def only_artifacts(*names: str) -> Callable[[dict[str, Any]], None]:
    """A change that leaves a manifest no other artifacts."""

    def drop(manifest: dict[str, Any]) -> None:
        for model in manifest["models"].values():
            model["artifacts"] = [a for a in model["artifacts"] if a["name"] in names]

    return drop
