"""Where prices of coins and currencies come from: behind application.gateways.RateSource. Decimals only, no float."""
