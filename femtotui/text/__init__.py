"""Text for people: inert characters, and numbers and times in fixed forms."""
