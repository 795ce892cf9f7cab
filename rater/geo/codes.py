"""Country codes (ISO 3166-1, from pycountry) and currency codes (ISO 4217, from iso4217)."""

from typing import Final

import iso4217
import pycountry

#: Alpha-2 code -> English name.
COUNTRIES: Final[dict[str, str]] = {
    country.alpha_2: getattr(country, "common_name", country.name) for country in pycountry.countries
} | {"XK": "Kosovo"}

#: Alpha-3 code -> digits after the decimal point. Codes without a minor unit (gold, test codes) are no money to us.
CURRENCIES: Final[dict[str, int]] = {
    currency.code: currency.exponent for currency in iso4217.Currency if currency.exponent is not None
}


def is_country(code: str) -> bool:
    """Whether this is an alpha-2 country code, in upper case."""
    return code in COUNTRIES


def country_name(code: str) -> str:
    """English short name of a country: "DE" -> "Germany". An unknown code is a KeyError."""
    return COUNTRIES[code]


def is_currency(code: str) -> bool:
    """Whether this is a currency code, in upper case: "EUR"."""
    return code in CURRENCIES


def minor_unit(currency: str) -> int:
    """Digits after the decimal point: EUR 2, JPY 0, KWD 3. An unknown code is a KeyError."""
    return CURRENCIES[currency]
