"""The pipeline: a batch of raw events in, one verdict for each out, whichever door the batch came through."""
