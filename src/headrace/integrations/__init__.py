"""Retrievers for other frameworks, over the HTTP API of a Headrace that runs elsewhere."""
