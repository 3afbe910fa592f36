"""How the sources of rates are put together: what is fixed first, shillings by ClickPesa, coins by several sources."""

from __future__ import annotations

from chassis.clock import Clock
from payments_api.adapters.gateways.clickpesa.api import ClickPesaApi
from payments_api.adapters.rates import clickpesa, coingecko, kraken
from payments_api.adapters.rates.fixed import FixedRates, RatesByCode
from payments_api.adapters.rates.median import MedianRates, Trust
from payments_api.adapters.rates.quoted import JsonSource
from payments_api.application.gateways import RateSource
from payments_api.settings.rates import RateSettings, by_code, rates_by_code


def rate_source(settings: RateSettings, clock: Clock, shillings: ClickPesaApi | None) -> RateSource:
    """One source for all codes; nothing is connected yet."""
    fixed = rates_by_code(settings.fixed_rates)
    chosen: dict[str, RateSource] = {}
    if shillings is not None:
        chosen[clickpesa.CODE] = _of_shillings(settings, clock, shillings)
    chosen |= dict.fromkeys(fixed, FixedRates(fixed, clock))
    return RatesByCode(chosen, _of_coins(settings, clock))


def _of_coins(settings: RateSettings, clock: Clock) -> MedianRates:
    trust = Trust(
        min_sources=settings.rate_min_sources,
        timeout_s=settings.rate_timeout_s,
        max_age_s=settings.rate_max_age_s,
        max_apart_bp=settings.rate_max_apart_bp,
        cache_s=settings.rate_cache_s,
    )
    pairs = {**kraken.PAIRS, **by_code(settings.kraken_pairs)}
    ids = {**coingecko.IDS, **by_code(settings.coingecko_ids)}
    at_kraken = JsonSource(kraken.NAME, str(settings.kraken_url), timeout_s=settings.rate_timeout_s)
    return MedianRates(
        [kraken.KrakenRates(at_kraken, clock, pairs), coingecko.CoinGeckoRates(_at_coingecko(settings), ids)],
        trust,
        clock,
    )


def _of_shillings(settings: RateSettings, clock: Clock, api: ClickPesaApi) -> MedianRates:
    """ClickPesa is the only source of them."""
    trust = Trust(1, settings.rate_timeout_s, settings.tzs_rate_max_age_s, cache_s=settings.rate_cache_s)
    return MedianRates([clickpesa.ClickPesaRates(api)], trust, clock)


def _at_coingecko(settings: RateSettings) -> JsonSource:
    usual = coingecko.PRO_URL if settings.coingecko_pro else coingecko.URL
    key = None if settings.coingecko_api_key is None else settings.coingecko_api_key.get_secret_value()
    headers = coingecko.headers_of(key, is_pro=settings.coingecko_pro)
    url = usual if settings.coingecko_url is None else str(settings.coingecko_url)
    return JsonSource(coingecko.NAME, url, timeout_s=settings.rate_timeout_s, headers=headers)
