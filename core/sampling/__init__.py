"""Sampling: next-token distributions, and text generated from them."""
