"""Measures retrieval with queries whose right documents are known."""
