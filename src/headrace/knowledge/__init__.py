"""The knowledge base: documents and rows become chunks that can be found."""
