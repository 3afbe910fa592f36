"""The outside world of gateway-ingest: gateways' formats, PostgreSQL, encryption, messages."""
