"""Measurements: `python -m bench`, see bench/README.md."""
