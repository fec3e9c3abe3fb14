"""Profiles: records of many tables unified by the identifiers they share, with child rows as facts."""
