"""ClickPesa: a hosted checkout for mobile money."""
