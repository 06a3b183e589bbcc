"""femtotui: a full-screen terminal cockpit for training tiny GPTs."""

__version__ = "0.1.0"
