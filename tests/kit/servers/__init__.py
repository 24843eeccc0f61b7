"""Real servers and brokers for tests, the network before them, and measures of an event loop."""
