"""The Edit screen: a preset as a form."""
