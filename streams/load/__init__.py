"""Made-up usage, offered to an installation at a steady rate: what it is, from a seed, and how it is sent.

`Traffic` makes events and knows what must come of each; it does no I/O and asks no clock. `offer` hands its pages to a
sender (Kafka, a file, HTTP) on a schedule that neither drifts nor waits for whoever rates them.
"""

from streams.load.fleet import Fleet
from streams.load.recipe import Recipe
from streams.load.traffic import Page, Traffic

__all__ = ["Fleet", "Page", "Recipe", "Traffic"]
