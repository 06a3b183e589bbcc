"""Widgets that several screens share, and the frame of the panels that take the focus."""

from __future__ import annotations


def framed(widget: str, css: str) -> str:
    """The default CSS of a widget class in a round border, brighter with the focus, and rules of its own."""
    return f"""
    {widget} {{
        height: 1fr;
        min-height: 3;
        border: round $foreground 25%;
        border-title-color: $text-muted;
        padding: 0 1;
        &:focus {{ border: round $border; border-title-color: $text; }}
        {css}
    }}
    """
