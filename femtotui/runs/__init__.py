"""Runs: the ones of this session, the ones on disk, the Runs and Journal screens."""
