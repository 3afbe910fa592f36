"""One machine: PostgreSQL from a wheel, the services and the simulators as child processes."""
