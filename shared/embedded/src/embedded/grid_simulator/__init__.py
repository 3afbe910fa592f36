"""The simulated grid: a process and a storage of its own, so that killing a service does not reset it.

Behaves as the real one where it matters: names are idempotent and refused for ever once destroyed, capacity is finite,
work takes time, answers get lost. Knows nothing of money; imports nothing of the services.
"""
