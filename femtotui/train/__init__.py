"""The Train screen and its panels."""
