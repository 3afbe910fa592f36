"""Messages of the bus become works of the engine."""
