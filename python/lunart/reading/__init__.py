"""Scans of every format as the core's ``Scan``: MetaImage, NRRD, NIfTI, and DICOM series.

::

    from lunart.reading import read_scan

    scan = read_scan("study.zip", series_uid="1.2.840...")

Which DICOM files make a scan is decided in C++ (``cpp/src/dicom/``), for the native program too;
here are the files, the tags' text and the decoders.
"""

from lunart.reading.choices import Choices
from lunart.reading.scan import read_scan

__all__ = ["Choices", "read_scan"]
