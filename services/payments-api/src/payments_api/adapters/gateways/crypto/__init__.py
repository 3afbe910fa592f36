"""Payments in coins, watch-only: quotes, addresses of their own for each payment, and what wallets need to pay.

Holds no private key and asks no node: what arrives is seen by the watchers of gateway-ingest.
"""
