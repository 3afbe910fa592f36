"""HTTP: what the other services and operators may read."""
