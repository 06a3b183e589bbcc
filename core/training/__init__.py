"""Training: the loop, optimizers, batches and the threads and processes that share a step."""
