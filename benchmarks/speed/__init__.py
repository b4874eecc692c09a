"""Speed of every way of computing a network, side by side."""
