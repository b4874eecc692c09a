"""The drivers that go with every core as they are; they import nothing of hwbnn."""
