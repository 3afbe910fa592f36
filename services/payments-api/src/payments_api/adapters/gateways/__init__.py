"""One module per gateway: ``application.gateways.Gateway`` for each way to pay."""
