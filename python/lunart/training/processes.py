"""Which of the processes that train one network together this is."""

from __future__ import annotations

import os


def is_first() -> bool:
    """Whether it is the one that makes, writes and says things; before a process group exists too.

    Lightning and torchrun tell the processes that they start by these variables.
    """
    rank = next((os.environ[k] for k in ("RANK", "LOCAL_RANK") if k in os.environ), "0")
    return int(rank) == 0 and int(os.environ.get("NODE_RANK", "0")) == 0
