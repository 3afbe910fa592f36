"""The way in by the bus: payments that are begun, with the address where their coins are awaited."""
