"""Training: data sets, recipes, the loop, and the folders of trained networks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwbnn.errors import refuses_others
from hwbnn.training.data import DATASETS, Dataset, dataset
from hwbnn.training.folder import data_of, load_model, provenance
from hwbnn.training.history import Epoch, History
from hwbnn.training.plots import compare_runs
from hwbnn.training.predictions import accuracy, logits, predict, torch_threads
from hwbnn.training.recipe import Recipe
from hwbnn.training.training_run import PRECISIONS, TrainResult, train

__all__ = [
    "DATASETS",
    "PRECISIONS",
    "Dataset",
    "Epoch",
    "History",
    "Recipe",
    "TrainResult",
    "accuracy",
    "compare_runs",
    "data_of",
    "dataset",
    "load_model",
    "logits",
    "predict",
    "provenance",
    "torch_threads",
    "train",
]

if not TYPE_CHECKING:  # which would take any name as known
    __getattr__ = refuses_others(__name__, __all__)
