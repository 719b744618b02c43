"""Which of two texts is the better one, learnt from pairs: a task that keras_bert does not have, as one folder."""
