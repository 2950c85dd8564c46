"""Whether this build has the module that reads NRRD, NIfTI and DICOM natively."""

from __future__ import annotations

from pathlib import Path

import lunart
import pytest

MODULE = Path(lunart.__file__).parent / "liblunart_itk.so"

needs_itk = pytest.mark.skipif(
    not MODULE.exists(),
    reason="no ITK module: apt-get install libinsighttoolkit5-dev libgdcm-dev libzip-dev, "
    "and build again",
)
