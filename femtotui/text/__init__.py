"""Text for people: inert characters, numbers and times in fixed forms."""
