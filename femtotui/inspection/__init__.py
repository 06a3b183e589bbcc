"""Sight into a model: attention, logit lens, layers, weights."""
