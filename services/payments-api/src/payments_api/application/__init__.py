"""Use cases and the ports that they speak to."""
