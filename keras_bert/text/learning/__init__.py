"""Learning a vocabulary from a corpus, of each kind, and extending one."""
