"""The outside world: tables, the ledger, gateways, the catalogue."""
