"""The errors that every ``luna-*`` program and the library share, one exit code each.

The same names and codes as ``enum class Errc`` in ``cpp/include/lunart/error.hpp``; the extension
module raises these classes.
"""

from __future__ import annotations


class LunartError(Exception):
    """Base of every error that a user can cause or mend. ``exit_code`` is the program's."""

    exit_code = 1


class UsageError(LunartError, ValueError):
    """An option or argument makes no sense."""

    exit_code = 2


class ScanError(LunartError):
    """The scan or picture cannot be read, or is none that the bundle can use."""

    exit_code = 3


class BundleError(LunartError):
    """The bundle or a checkpoint is missing, damaged, or of another schema or architecture."""

    exit_code = 4


class EngineError(LunartError):
    """The engine is not built, not installed, of another version, or failed while running."""

    exit_code = 5


class CheckError(LunartError):
    """A check ran and the numbers were wrong."""

    exit_code = 6


class OutputError(LunartError):
    """A result could not be written."""

    exit_code = 7


class DataError(LunartError):
    """A data set is incomplete, contradicts itself, or leaks between training and validation."""

    exit_code = 8
