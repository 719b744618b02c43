"""Byte-level BPE, GPT-2's and RoBERTa's tokenizer: in Python, in bulk, in the graph, and its files."""
