"""A tariff without mistakes, to be broken by tests."""

from pathlib import Path

GOOD = """\
tariff: good
currency: EUR
zone: Europe/Berlin
rounding: half-up
precision: "0.0001"
zones:
  eu: [AT, BE, DE, FR, NO]
  alps: [CH, LI]
bands:
  peak: {days: mon-fri, from: "08:00", to: "20:00"}
  night: {days: [fri, sat], from: "22:00", to: "06:00"}
  holiday: {dates: ["12-25", "2026-10-03"]}
versions:
  - version: "1"
    effective_from: "2026-01-01T00:00"
    emergency: ["112"]
    blocked: [KP]
    rates:
      - service: data
        where: eu
        per: MB
        tiers:
          - {up_to: 100 MB, price: "0.10"}
          - {up_to: 1 GB, price: "0.05"}
          - {price: "0.01"}
        increments: {next: 100 kB, scope: carry-over}
      - {service: data, where: "262-01", price: "0.04", per: MB}
      - {service: data, price: "0.5", per: MB, name: data-other}
      - service: voice
        direction: outgoing
        to: [eu, alps]
        price: "0.09"
        bands: {peak: "0.19", night: "0.05"}
        per: min
        setup: "0.05"
        increments: {first: 60 s, next: 1 s}
        minimum: "0.10"
        maximum: "5.00"
      - {service: voice, to: "+49900", answer: blocked}
      - {service: voice, direction: incoming, answer: free}
      - {service: voice, direction: outgoing, price: "1", per: min}
    tables:
      - file: prefixes.csv
        service: voice
        direction: outgoing
        per: min
  - version: "2"
    effective_from: "2026-06-01T00:00"
    rates:
      - {service: data, price: "0.4", per: MB}
"""

PREFIXES = """\
# Prices by prefix.
to,price,bands.peak,name
+49,0.02,0.04,germany-fixed
+4915 +4916,0.10,,germany-mobile

+43,0.03,,austria
"""


def write(folder: Path, text: str = GOOD, table: str = PREFIXES) -> Path:
    """A tariff file with its table."""
    (folder / "prefixes.csv").write_text(table)
    file = folder / "good.yaml"
    file.write_text(text)
    return file
