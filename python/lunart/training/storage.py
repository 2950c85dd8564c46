"""Reading and writing of Lightning's checkpoints: whole or not at all, and nothing is unpickled."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io import TorchCheckpointIO
from lightning.fabric.utilities.types import _PATH

from lunart import _core
from lunart.errors import BundleError


class WholeFiles(TorchCheckpointIO):
    """Checkpoints are written beside and renamed: a full disk leaves the last good one."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: _PATH, storage_options: Any | None = None
    ) -> None:
        content = BytesIO()
        torch.save(checkpoint, content)
        _core.write_file_atomically(path, content.getvalue())

    def load_checkpoint(
        self,
        path: _PATH,
        map_location: Callable[..., Any] | None = None,
        weights_only: bool | None = None,
    ) -> dict[str, Any]:
        return read(Path(path))


def read(path: Path) -> dict[str, Any]:
    """A checkpoint, on the CPU. Raises ``BundleError``."""
    try:
        content = path.read_bytes()
        loaded = torch.load(BytesIO(content), map_location="cpu", weights_only=True)
    except OSError as error:
        raise BundleError(f"{path}: cannot be read ({error.strerror or error})") from error
    except Exception as error:  # a damaged pickle can raise nearly anything
        raise BundleError(
            f"{path}: damaged, or no checkpoint of this program; --restart begins anew there"
        ) from error
    if not isinstance(loaded, dict):
        raise BundleError(f"{path}: holds a {type(loaded).__name__}, no checkpoint")
    return loaded
