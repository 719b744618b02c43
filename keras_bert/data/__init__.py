"""Ids to tf.data: the TFRecord schema (written down once), masking, reading and batching."""
