"""Sentence embeddings: one vector a text, and the search among them."""
