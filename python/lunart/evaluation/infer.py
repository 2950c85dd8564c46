"""Runs the native pipeline over cases, or reads what an earlier run kept of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from lunart import _core
from lunart.bundle import Bundle
from lunart.evaluation.cases import Case
from lunart.evaluation.findings import calls_of
from lunart.evaluation.overlap import overlaps_of
from lunart.evaluation.score import Outcome
from lunart.evaluation.store import Inferred, Origin, Store, core_digest
from lunart.runner import Precision, ProgressCallback, ProgressStyle, Runner

Region = Literal["lungs", "off"]


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A bundle and how it is run."""

    bundle: Path
    engine: str = "auto"
    region: Region = "lungs"
    precision: Precision = "f32"
    threads: int | None = None
    progress: ProgressCallback | ProgressStyle = "none"


class Inference:
    """Finds nodules in cases. Networks are loaded when the first scan needs them."""

    def __init__(self, setting: Setting, results: Path | None = None) -> None:
        """``results`` is a folder for several bundles. Raises ``BundleError``, ``OutputError``."""
        self.setting = setting
        self.bundle = Bundle.open(setting.bundle)
        self._store = Store(None if results is None else results / self._name)
        self._core = core_digest()

    def outcome(self, case: Case) -> tuple[Outcome, bool]:
        """What is found in a scan, and whether it had to be inferred now.

        Raises the errors of :class:`lunart.Runner`; what was inferred before is kept.
        """
        uid, origin = case.truth.series_uid, self._origin(case)
        kept = self._store.find(uid, origin)
        inferred = self._infer(case) if kept is None else kept
        if kept is None:
            self._store.keep(uid, origin, inferred)
        outcome = Outcome(
            case.truth,
            calls_of(inferred.result),
            overlaps=inferred.overlaps,
            reference=case.reference.source,
            result=inferred.result,
        )
        return outcome, kept is None

    @property
    def threshold(self) -> float:
        """Above it a candidate is a nodule."""
        return float(self.bundle.pipeline["nodule_threshold"])

    @property
    def malignancy_threshold(self) -> float | None:
        """Above it a nodule counts as malignant; None without such a network."""
        if "malignancy" not in self.bundle.models:
            return None
        return float(self.bundle.pipeline["malignancy_threshold"])

    def to_json(self) -> dict[str, Any]:
        """What ran, for the report."""
        setting = self.setting
        return {
            "path": str(setting.bundle),
            "name": self.bundle.name,
            "sha256": self.bundle.sha256,
            "engine": setting.engine,
            "region": setting.region,
            "precision": setting.precision,
        }

    @property
    def _name(self) -> str:
        setting = self.setting
        parts = (self.bundle.name, self.bundle.sha256[:12], setting.region, setting.precision)
        return "-".join(parts)

    def _origin(self, case: Case) -> Origin:
        return Origin(
            bundle=self.bundle.sha256,
            core=self._core,
            scan=case.digest(),
            reference=case.reference.key(),
            region=self.setting.region,
            precision=self.setting.precision,
            engine=_core.wanted_engine(self.setting.engine),
        )

    def _infer(self, case: Case) -> Inferred:
        result = self._runner(case.scan())
        return Inferred(result.to_dict(), overlaps_of(result, case.reference.mask()))

    @cached_property
    def _runner(self) -> Runner:
        setting = self.setting
        return Runner(
            setting.bundle,
            engine=setting.engine,
            region=setting.region,
            precision=setting.precision,
            threads=setting.threads,
            all_candidates=True,
            progress=setting.progress,
        )
