"""Lowering of PyTorch models: the only part of lowering that imports torch.

It reads a model as layers, functions of arrays and activations, which the rest of
:mod:`hwbnn.lowering` turns into a Graph; and it compares the Graph with the model.
"""
