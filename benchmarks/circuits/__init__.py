"""Area of unrolled layers, beside other generators."""
