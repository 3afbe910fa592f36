"""What people see, and what their browsers hear."""
