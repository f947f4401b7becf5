"""Matplotlib figures from results."""
