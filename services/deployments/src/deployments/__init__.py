"""Takes the commission, queues grid work, refunds what fails."""
