"""Optimizers, schedules, strategies, and the pre-training and fine-tuning runs."""
