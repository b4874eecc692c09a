"""Training: data sets, recipes, the loop, and the folders of trained networks."""

from __future__ import annotations

from hwbnn.train.data import DATASETS, Dataset, dataset
from hwbnn.train.evaluate import accuracy, logits, predict
from hwbnn.train.fit import PRECISIONS, TrainResult, train
from hwbnn.train.folder import load_model
from hwbnn.train.history import Epoch
from hwbnn.train.page import compare_runs
from hwbnn.train.recipe import Recipe
from hwbnn.train.release import publish

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
