"""One module per gateway: its signature header and its events, read into facts."""
