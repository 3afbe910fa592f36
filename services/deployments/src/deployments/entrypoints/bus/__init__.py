"""The bus: which messages lead to which use case."""
