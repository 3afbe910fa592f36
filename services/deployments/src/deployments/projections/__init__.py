"""What readers see: one row per deployment, and the queue of grid work. Only reads: rows come with their events."""
