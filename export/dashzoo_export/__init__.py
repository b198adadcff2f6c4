"""Fold, bundle, lower, prove: from a trained network to files that compute the same."""
