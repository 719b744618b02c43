"""Strings to ids: tokenizers of three kinds, what they share, layout, learning a vocabulary, splitting sentences."""
