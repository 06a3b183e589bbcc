"""The Sample screen, and sampling beside a training."""
