"""The transformer: layers, forward beside backward, in one flat parameter vector."""
