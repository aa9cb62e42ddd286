"""From features to scores: each feature over its maximum, times its weight; the row sum is the score."""

from collections.abc import Sequence

import numpy as np

from recsys_engine.domain import FloatArray, IntArray, Query


class LinearRanker:
    """score = Σ weight_f · feature_f / max over candidates of feature_f (0 where the maximum is 0)."""

    version = "hybrid_v1"
    wants_all = False

    def contributions(self, query: Query, items: IntArray, features: FloatArray, names: Sequence[str]) -> FloatArray:
        weights = np.array([query.settings.weights.get(name, 0.0) for name in names])
        if not len(items):
            return features
        scaled = normalised(features)
        scaled *= weights
        return scaled


def normalised(features: FloatArray) -> FloatArray:
    """Each column over its maximum; a column without a positive maximum becomes 0."""
    if not len(features):
        return features
    highest = np.maximum.reduce(features)
    highest[highest <= 0] = np.inf
    scaled: FloatArray = features / highest
    return scaled
