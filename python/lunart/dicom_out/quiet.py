"""Keeps pydicom and highdicom from printing what is in a patient's files.

Both warn and log with the value that they doubt: a name, a number, a date. Nothing of a patient may
reach a terminal or a log, and what they say is about the source, which lunart only passes on.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_LIBRARIES = ("pydicom", "highdicom")


@contextmanager
def quiet() -> Iterator[None]:
    """Within it neither library warns or logs; everybody else does."""
    loggers = [logging.getLogger(name) for name in _LIBRARIES]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        # By their messages: some are raised in the caller's name (stacklevel), so that a filter by
        # module misses them.
        warnings.filterwarnings("ignore", module=r"(pydicom|highdicom)(\.|$)")
        warnings.filterwarnings("ignore", message="The string .* is unlikely to represent")
        warnings.filterwarnings("ignore", message="Invalid value for VR|The value length")
        for logger in loggers:
            logger.setLevel(logging.CRITICAL + 1)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
