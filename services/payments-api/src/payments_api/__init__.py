"""What people and the single-page app talk to."""
