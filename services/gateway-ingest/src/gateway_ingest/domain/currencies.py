"""The currencies that a card gateway takes, with the number of decimals in its smallest unit.

Per gateway, not per ISO 4217: what Stripe calls ``amount`` follows Stripe's own list (zero-decimal and three-decimal
currencies named, all others two). A currency that is not listed is unknown, and its amount means nothing to us.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_ZERO_DECIMAL = "BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF"
_THREE_DECIMAL = "BHD JOD KWD OMR TND"
_TWO_DECIMAL = """
AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BWP BYN BZD CAD CDF CHF CNY COP CRC CVE CZK
DKK DOP DZD EGP ETB EUR FJD FKP GBP GEL GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR ISK JMD KES KGS KHR KYD KZT LAK LBP
LKR LRD LSL MAD MDL MKD MMK MNT MOP MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD
RUB SAR SBD SCR SEK SGD SHP SLE SOS SRD STD SZL THB TJS TOP TRY TTD TWD TZS UAH UGX USD UYU UZS WST XCD YER ZAR ZMW
"""

STRIPE_EXPONENTS: Mapping[str, int] = MappingProxyType(
    dict.fromkeys(_TWO_DECIMAL.split(), 2)
    | dict.fromkeys(_ZERO_DECIMAL.split(), 0)
    | dict.fromkeys(_THREE_DECIMAL.split(), 3)
)
"""Upper-case currency code → decimals."""
