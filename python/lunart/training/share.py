"""Which samples of an epoch are whose, when several processes train one network.

A step of ``world`` processes sees the samples that one process with a batch ``world`` times as
large would see: an epoch's order, balanced batch by batch, survives in each process.
"""

from __future__ import annotations

from dataclasses import dataclass

from lunart.errors import DataError
from lunart.training.source import Sample, Samples


@dataclass(frozen=True)
class TrainingShare:
    """Whole batches of ``batch`` samples; what does not fill a step of all processes is left out.

    It comes again in another epoch, while a batch of one or two would upset the batch norms. An
    epoch that is smaller than a step is one step with smaller batches.
    """

    samples: Samples
    batch: int
    rank: int
    world: int

    @classmethod
    def of(cls, samples: Samples, batch: int, rank: int, world: int) -> TrainingShare:
        """Raises ``DataError`` when there are fewer samples than processes."""
        size = min(batch, len(samples) // world)
        if size == 0:
            raise DataError(
                f"an epoch of {len(samples)} samples for {world} processes: nothing to learn from"
            )
        return cls(samples, size, rank, world)

    def __len__(self) -> int:
        return len(self.samples) // (self.batch * self.world) * self.batch

    def __getitem__(self, index: int) -> Sample:
        step, place = divmod(index, self.batch)
        return self.samples[(step * self.world + self.rank) * self.batch + place]


@dataclass(frozen=True)
class ValidationShare:
    """Every ``world``-th sample; together the processes see each sample once."""

    samples: Samples
    rank: int
    world: int

    def __len__(self) -> int:
        return len(range(self.rank, len(self.samples), self.world))

    def __getitem__(self, index: int) -> Sample:
        return self.samples[self.rank + index * self.world]
