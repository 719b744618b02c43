"""Classes, several labels or a number for a text or a pair of texts, from a table to a model directory."""
