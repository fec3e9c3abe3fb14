"""Snapshots beside the stream: what sources that can read tables again have in common."""
