"""Tasks: what goes into a fine-tuned model and what comes out. Tables of one's own and their figures."""
