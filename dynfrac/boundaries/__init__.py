"""Boundaries without a grid: estimators that ask for outcomes at points of their own choice."""
