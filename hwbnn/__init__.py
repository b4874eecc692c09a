"""Binary neural networks from PyTorch to FPGA cores that are shown to compute the same bits."""
