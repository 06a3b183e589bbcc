"""The trainer process, and the app's connection to it."""

EXIT_DONE = 0
EXIT_BUG = 1
EXIT_FAILED = 2
