"""Bank statements: read from files of two formats, and kept in PostgreSQL."""
