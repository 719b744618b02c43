"""The words behind [MASK]."""
