"""Strings to ids: the normalizer, WordPiece, the tokenizers, learning a vocabulary, splitting sentences."""
