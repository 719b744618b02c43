"""The writing side of pre-training data: documents -> instances -> masked TFRecord shards."""
