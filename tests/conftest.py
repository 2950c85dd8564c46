"""Fixtures that several test modules share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real scans: ``LUNART_DATA``, else ``../shared/data`` beside the repository."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("LUNART_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"no real scans: {folder} is absent (set LUNART_DATA)")
    return folder
