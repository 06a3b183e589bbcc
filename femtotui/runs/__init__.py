"""Runs: the ones of this session, the ones on disk, and the Runs screen."""
