"""What a training run is and how it went: kept in its checkpoints, compared before going on.

A run folder holds ``run.json`` (what is trained), ``last.ckpt`` (the state after the last finished
epoch), ``weights.safetensors`` (of the best epoch, ready for luna-export) and ``metrics.jsonl`` (a
line an epoch), and ``tensorboard/``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lunart.errors import BundleError, UsageError

FORMAT = "lunart.training/1"
CHECKPOINT_KEY = "lunart"
RUN, LAST, WEIGHTS, METRICS = "run.json", "last.ckpt", "weights.safetensors", "metrics.jsonl"
BOARD = "tensorboard"


@dataclass(frozen=True)
class Epoch:
    """One finished epoch; ``number`` counts from 1, ``step`` over the whole run."""

    number: int
    step: int
    train_loss: float
    validation: Mapping[str, float]
    seconds: float


@dataclass(frozen=True)
class Record:
    """``run`` says what is trained on what and how (plain values); ``history`` how far it is."""

    run: Mapping[str, Any]
    history: tuple[Epoch, ...] = ()

    def to_json(self) -> str:
        return json.dumps(
            {"format": FORMAT, "run": self.run, "history": [asdict(e) for e in self.history]},
            sort_keys=True,
        )

    @classmethod
    def from_checkpoint(cls, path: Path, checkpoint: object) -> Record:
        """Raises ``BundleError`` when the checkpoint is none of lunart's trainings."""
        text = checkpoint.get(CHECKPOINT_KEY) if isinstance(checkpoint, dict) else None
        return cls._parsed(path, text if isinstance(text, str) else "")

    @classmethod
    def read(cls, path: Path) -> Record:
        """Raises ``BundleError`` when the file is none that this program wrote."""
        try:
            return cls._parsed(path, path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise BundleError(f"{path}: cannot be read ({error})") from error

    @classmethod
    def _parsed(cls, path: Path, text: str) -> Record:
        try:
            data = json.loads(text)
            if data["format"] != FORMAT:
                raise ValueError(f"format {data['format']!r}")
            return cls(data["run"], tuple(Epoch(**epoch) for epoch in data["history"]))
        except (ValueError, KeyError, TypeError) as error:
            raise BundleError(
                f"{path}: not written by this program ({error}); --restart begins anew there"
            ) from error

    def require_same(self, other: Mapping[str, Any], folder: Path) -> None:
        """Refuse (``UsageError``) to go on with another network, task, data or settings."""
        mine, theirs = dict(_flat(self.run)), dict(_flat(other))
        wrong = [
            f"{key} is {mine.get(key)!r} there and {theirs.get(key)!r} here"
            for key in sorted(mine.keys() | theirs.keys())
            if mine.get(key) != theirs.get(key)
        ]
        if wrong:
            more = f" (and {len(wrong) - 4} more)" if len(wrong) > 4 else ""
            raise UsageError(
                f"{folder} holds another run: {'; '.join(wrong[:4])}{more}; give another --output, "
                "or --restart to begin anew there"
            )


def _flat(value: object, name: str = "") -> Iterator[tuple[str, object]]:
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}" if name else str(key))
    else:
        # As JSON keeps it.
        yield name, json.loads(json.dumps(value))
