"""A made-up month of SIM usage in the platforms' real formats: October 2026, the same from the same seed.

`generate(folder, seed, events)` writes `events` records over the files in `RECORDS`, and the wallets and SIMs they
belong to. About 2 % of the records are repeats and 0.5 % are damaged. `damaged(seed)` makes a file's worth of nothing
but damage, each line with the fate it must meet.

    python -m schemas.sample FOLDER [--seed N] [--events N]
"""

from schemas.sample.damage import Damaged, damaged
from schemas.sample.fleet import TENANT
from schemas.sample.records import CLOCK, RECORDS, generate

__all__ = ["CLOCK", "RECORDS", "TENANT", "Damaged", "damaged", "generate"]
