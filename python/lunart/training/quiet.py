"""Lightning's advice and announcements, which do not concern those who run luna-train."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

# Messages by their beginning. PyTorch's own about its pytree comes from Lightning's use of it.
_MESSAGES = (
    r"The '\w+' does not have many workers",
    r"Consider setting `persistent_workers=True`",
    r"Found \d+ module\(s\) in eval mode at the start of training",
    r".*isinstance\(treespec, LeafSpec\)",
)


@contextmanager
def quiet() -> Iterator[None]:
    """Lightning says nothing below an error, and not what is listed above."""
    loggers = [logging.getLogger(f"lightning.{part}") for part in ("pytorch", "fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            for message in _MESSAGES:
                warnings.filterwarnings("ignore", message=message)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
