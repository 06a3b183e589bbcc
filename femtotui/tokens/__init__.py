"""Tokens on the screen: layout, colours, alternatives, export."""
