"""Who made the objects and when: the same device, algorithm and time in all of them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from highdicom import AlgorithmIdentificationSequence
from highdicom.sr import AlgorithmIdentification
from pydicom.valuerep import DA, TM

from lunart import _core
from lunart.dicom_out.codes import ARTIFICIAL_INTELLIGENCE
from lunart.dicom_out.uids import Uids
from lunart.result import Result

MANUFACTURER = "lunart"


@dataclass(frozen=True)
class Maker:
    """lunart with one bundle, writing at one time under one UID root."""

    result: Result
    uids: Uids
    when: datetime

    @property
    def version(self) -> str:
        return plain(_core.__version__)

    @property
    def bundle(self) -> str:
        """Name of the bundle with the beginning of its manifest's SHA-256."""
        return plain(f"{self.result.bundle.name} {self.result.bundle.sha256[:12]}")

    @property
    def device_uid(self) -> str:
        """The same for all reports of this version and bundle under this root."""
        return self.uids.of_name("device", self.version, self.result.bundle.sha256)

    @property
    def settings(self) -> dict[str, str]:
        """With what the networks ran."""
        engine = self.result.engine
        values = {
            "bundle": self.result.bundle.name,
            "manifest_sha256": self.result.bundle.sha256,
            "engine": f"{engine.name} {engine.version}",
            "precision": engine.precision,
            "threshold": f"{self.result.threshold:g}",
        }
        return {name: plain(value) for name, value in values.items()}

    def algorithm(self) -> AlgorithmIdentificationSequence:
        """For a segment."""
        return AlgorithmIdentificationSequence(
            name="lunart lung nodules",
            family=ARTIFICIAL_INTELLIGENCE,
            version=self.version,
            source=MANUFACTURER,
            parameters=self.settings,
        )

    def algorithm_in_report(self) -> AlgorithmIdentification:
        """For a measurement group (TID 4019)."""
        return AlgorithmIdentification(
            name="lunart lung nodules",
            version=self.version,
            parameters=[f"{name}={value}" for name, value in self.settings.items()],
            manufacturer=MANUFACTURER,
        )

    def equipment(self) -> dict[str, Any]:
        """General Equipment, as highdicom's constructors take it."""
        return {
            "manufacturer": MANUFACTURER,
            "manufacturer_model_name": "lunart",
            "software_versions": self.version,
            "device_serial_number": self.result.bundle.sha256[:64],
        }

    def times(self) -> dict[str, Any]:
        """Dates and times of series and content, as highdicom's constructors take them."""
        date, time = DA(self.when.date()), TM(self.when.time().replace(microsecond=0))
        return {
            "series_date": date,
            "series_time": time,
            "content_date": date,
            "content_time": time,
        }


def plain(text: str, longest: int = 64) -> str:
    """``text`` for any character set and any text attribute: printable ASCII, no backslash."""
    clean = "".join(c if " " <= c <= "~" and c != "\\" else "?" for c in text)
    return clean[:longest].strip() or "?"
