"""Training: data sets, recipes, the loop, and the folders of trained networks."""

from __future__ import annotations

from hwbnn.training.data import DATASETS, Dataset, dataset
from hwbnn.training.evaluate import accuracy, logits, predict
from hwbnn.training.fit import PRECISIONS, TrainResult, train
from hwbnn.training.folder import load_model
from hwbnn.training.history import Epoch
from hwbnn.training.page import compare_runs
from hwbnn.training.recipe import Recipe
from hwbnn.training.release import publish

__all__ = [
    "DATASETS",
    "PRECISIONS",
    "Dataset",
    "Epoch",
    "Recipe",
    "TrainResult",
    "accuracy",
    "compare_runs",
    "dataset",
    "load_model",
    "logits",
    "predict",
    "publish",
    "train",
]
