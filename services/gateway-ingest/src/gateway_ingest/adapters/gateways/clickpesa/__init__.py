"""ClickPesa's webhooks, proved by asking, read into facts."""
