"""Whole questions composed from the parts: presets of published conditions."""
