"""WordPiece, google-research/bert's tokenizer: in Python, in bulk, in the graph, and its files."""
