"""The use cases: taking a request, driving the grid until a deployment runs or is certain not to; and their ports."""
