"""Hears gateways: verifies, records, publishes what was paid."""
