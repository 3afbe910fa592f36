"""HTTP under /v1, for our own services and operators."""
