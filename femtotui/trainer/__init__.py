"""The trainer process, and the app's connection to it."""
