"""The ways in: HTTP and the bus."""
