"""What gateways list when they are asked, for reconciling: one module each."""
