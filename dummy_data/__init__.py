"""femtotui.dummy_data: texts made by rule, so that what a model has learnt can be counted.

One generator a file. Each is a script that needs nothing but Python (`python3 dummy_data/simple_dummy.py >
dataset.txt`), and a module whose `generate` is a pure function of its arguments. Only the standard library
is imported here.
"""
