"""One suite of tests per port, passed unchanged by every adapter."""
