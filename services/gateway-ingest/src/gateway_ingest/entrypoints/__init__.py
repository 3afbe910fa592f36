"""The doors of gateway-ingest: HTTP and the command line."""
