"""Headrace brings moving data to a model."""
