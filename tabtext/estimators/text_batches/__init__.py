"""Documents as batches for the trainer: a continuous stream, or bucketed rows."""
