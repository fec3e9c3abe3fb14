"""Formats: one file each, `parse(File) -> Parsed`, named by content type in `headrace.registry.FORMATS`."""
