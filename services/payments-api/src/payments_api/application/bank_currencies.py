"""Currencies in which a bank may book, with the decimals of their smallest unit (ISO 4217).

A closed list: an amount of a currency that is not in it is refused, since its decimals would be guessed.
"""

from __future__ import annotations

from typing import Final

# TZS has cents on paper only; the books count it in whole shillings.
_WHOLE: Final = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF TZS UGX VND VUV XAF XOF XPF"
_CENTS: Final = (
    "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY "
    "COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR "
    "ILS INR IRR JMD KES KGS KHR KYD KZT LAK LBP LKR LRD LSL MAD MDL MKD MMK MNT MOP MUR MVR MWK MXN MYR MZN "
    "NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SOS SRD SSP "
    "STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD UAH USD UYU UZS VES WST XCD YER ZAR ZMW"
)
_THOUSANDTHS: Final = "BHD IQD JOD KWD LYD OMR TND"

_EXPONENTS: Final = {
    code: exponent for exponent, codes in ((0, _WHOLE), (2, _CENTS), (3, _THOUSANDTHS)) for code in codes.split()
}


def bank_asset(code: str) -> str | None:
    """The asset (``EUR/2``) of a currency's code, in whatever case; None when a bank's statement has no such thing."""
    known = code.strip().upper()
    return f"{known}/{_EXPONENTS[known]}" if known in _EXPONENTS else None
