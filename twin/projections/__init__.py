"""Twins as pure folds of facts: the same set of facts gives the same twins, in whatever order and however often."""
