"""The outside world: the grid over HTTP, PostgreSQL, the catalogue's file, and the messages we publish."""
