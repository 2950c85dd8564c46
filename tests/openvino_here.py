"""The native OpenVINO engine on this machine, for its tests; fixtures are in ``conftest.py``."""

from __future__ import annotations

from typing import Any

from lunart import _core

ENGINE = "openvino"


def status() -> dict[str, Any]:
    """Whether it runs here, and in which precisions."""
    return _core.engines(ENGINE)[0]
