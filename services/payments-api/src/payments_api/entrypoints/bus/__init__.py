"""The bus: message types and what each leads to."""
