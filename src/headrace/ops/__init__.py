"""How Headrace itself is watched."""
