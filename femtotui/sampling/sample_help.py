"""What the help says on the sampling screen."""

from __future__ import annotations

SAMPLE_KEYS = (
    ("enter", "in a field: write anew. On the tokens: to the alternatives; there: go on with that one"),
    ("← → ↑ ↓", "walk through the tokens; the mouse does, too"),
    ("u   r", "undo and redo: the branches that were shown before"),
    ("+ - , . < >", "temperature up and down, top-p down and up, top-k down and up: the bars follow at once"),
    ("p", "to the prompt"),
    ("t", "a text of your own: type or paste it, and see what surprises the model"),
    ("[   ]", "wind the time-lapse back and forth, into earlier sessions, too"),
    ("v", "how often the time-lapse takes a frame"),
    ("d", "compare with another run or checkpoint, token by token; two of them: one vs the other"),
    ("y   Y", "copy the text; copy it with log-probs"),
    ("e", "save as text, JSON, log-probs, SVG or HTML"),
    ("tab", "move on: fields, tokens, alternatives, branches"),
    ("escape", "from a field to the tokens, from there back to the training"),
)
SAMPLE_MEANINGS = (
    ("colour", "a token's probability as the model gave it; brighter is more surprising. Compared: blue "
     "where this model foresaw it better, orange where the other did"),
    ("raw", "what the model thinks. After cutting: what temperature, top-k and top-p leave to draw from"),
    ("rank", "1 is the most probable token at that place"),
    ("surprise", "-log2 of the probability: each bit halves it. Entropy is the surprise that is expected"),
    ("perplexity", "as if so many tokens had been equally likely at every place"),
    ("context", "past the model's context it reads the last half of it afresh, and goes on"),
)  # fmt: skip
