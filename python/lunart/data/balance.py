"""The order of an epoch: positives and negatives in turn, or all as they come."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Order = NDArray[np.int64]


def alternating(
    rng: np.random.Generator, labels: NDArray[np.bool_], negatives_per_positive: int, most: int
) -> Order:
    """Places in ``labels``: one positive, then so many negatives, and so on.

    Long enough that everything comes at least once, and at most ``most`` long; the rarer kind comes
    again as often as it must, each sample as often as any other of its kind, give or take one.
    """
    positive, negative = np.flatnonzero(labels), np.flatnonzero(~labels)
    turns = max(len(positive), -(-len(negative) // negatives_per_positive))
    turns = max(1, min(turns, most // (1 + negatives_per_positive)))
    order = np.empty((turns, 1 + negatives_per_positive), np.int64)
    order[:, 0] = _dealt(rng, positive, turns)
    order[:, 1:] = _dealt(rng, negative, turns * negatives_per_positive).reshape(turns, -1)
    return order.ravel()


def shuffled(rng: np.random.Generator, labels: NDArray[np.bool_], most: int) -> Order:
    """Every sample once, in any order; the first ``most`` of them."""
    order: Order = rng.permutation(len(labels))[:most]
    return order


def _dealt(rng: np.random.Generator, places: Order, count: int) -> Order:
    """So many of the places: whole shuffled rounds one after another."""
    rounds = [rng.permutation(places) for _ in range(-(-count // len(places)))]
    dealt: Order = np.concatenate(rounds)[:count]
    return dealt
