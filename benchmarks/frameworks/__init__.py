"""Networks that other frameworks trained: their files against their executors, and as cores."""
