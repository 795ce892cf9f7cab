"""Garbage collection off the hot path.

Nothing that an event leaves behind is a cycle, so counting references frees nearly all of it. What is left (exceptions,
closed connections) is collected now and then, and what survives is taken out of further collections: walking the
catalogue and every known SIM in each full collection cost a sixth of the processor.
"""

from __future__ import annotations

import asyncio
import gc

TIDY_EVERY_S = 10.0


async def tidy() -> None:
    """Collect in a rhythm of our own for as long as this runs."""
    gc.disable()
    try:
        while True:
            gc.collect()
            gc.freeze()
            await asyncio.sleep(TIDY_EVERY_S)
    finally:
        gc.unfreeze()
        gc.enable()
