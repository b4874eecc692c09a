"""What generated hardware takes, which the estimates are fitted to."""
