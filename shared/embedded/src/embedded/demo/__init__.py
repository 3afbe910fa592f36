"""``make demo``: the money's way through a running stack, shown step by step and checked."""
