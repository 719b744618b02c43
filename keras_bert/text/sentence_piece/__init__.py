"""SentencePiece models, Unigram and BPE, with their families' rules: in Python, in bulk, in the graph, and files."""
