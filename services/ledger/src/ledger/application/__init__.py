"""Use cases: the engine that settles commands in batches, and the ports it needs."""
