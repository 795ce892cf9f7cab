"""Geography and currencies: which country a network or a number belongs to, which codes exist.

Country codes are ISO 3166-1 alpha-2, upper case, and XK for Kosovo, which ISO leaves to its users and CLDR, IBAN and
libphonenumber all use. A shared or international code (MCC 901, +800, +870 ...) has no country: None.
"""

from rater.geo.codes import (
    COUNTRIES,
    CURRENCIES,
    country_name,
    is_country,
    is_currency,
    minor_unit,
)
from rater.geo.networks import country_of_mcc
from rater.geo.numbers import country_of_number

__all__ = [
    "COUNTRIES",
    "CURRENCIES",
    "country_name",
    "country_of_mcc",
    "country_of_number",
    "is_country",
    "is_currency",
    "minor_unit",
]
