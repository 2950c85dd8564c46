"""components.json: what is in an SDK, as a CycloneDX 1.5 bill of materials.

The same build writes the same bytes: it has neither a date nor a serial number.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from components import Component


def write_component_list(
    sdk: Path, version: str, ours: Iterable[Path], others: Iterable[Component]
) -> None:
    """``ours`` are files of the SDK; what the ``others`` bring has been copied into it."""
    lunart = {
        "type": "library",
        "bom-ref": "lunart",
        "name": "lunart",
        "version": version,
        "licenses": [{"expression": "Apache-2.0"}],
        "purl": f"pkg:pypi/lunart@{version}",
        "externalReferences": [_text(sdk, sdk / "licenses/lunart/LICENSE")],
        "components": [_file(sdk, path) for path in sorted(ours)],
    }
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": lunart},
        "components": [_library(sdk, component) for component in others],
    }
    (sdk / "components.json").write_text(json.dumps(bill, indent=2) + "\n")


def _library(sdk: Path, component: Component) -> dict[str, Any]:
    texts = sorted((sdk / "licenses" / component.name).iterdir())
    entry: dict[str, Any] = {
        "type": "library",
        "bom-ref": component.name,
        "name": component.name,
        "version": component.version,
        "licenses": [{"expression": component.licence}],
        "purl": component.purl,
        "externalReferences": [_text(sdk, path) for path in texts],
    }
    if component.files:
        files = sorted(sdk / "lib/lunart" / path.name for path in component.files)
        entry["components"] = [_file(sdk, path) for path in files]
    if component.within:
        entry["evidence"] = {"occurrences": [{"location": path} for path in component.within]}
    return entry


def _file(sdk: Path, path: Path) -> dict[str, Any]:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    name = path.relative_to(sdk).as_posix()
    return {
        "type": "file",
        "bom-ref": name,
        "name": name,
        "hashes": [{"alg": "SHA-256", "content": digest}],
    }


def _text(sdk: Path, path: Path) -> dict[str, str]:
    return {"type": "license", "url": path.relative_to(sdk).as_posix()}
