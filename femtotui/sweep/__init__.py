"""Sweeps: many runs on the cores of this machine, or of many by dask.distributed (extra `femtotui[cluster]`).

Reading order: spec (the runs to train), messages (between coordinator and workers; the ranking), worker (one
run, on whichever machine), sweep_folder (results and live files on disk), coordinator (hands out runs; with
the engine for this machine: pipes, no ports), dask_engine (other machines), sweep_screen.

Anybody who can connect to a Dask cluster, by its certificate or because it asks for none, can run code on its
scheduler and workers: that is Dask's design. In the process that coordinates the sweep they run nothing: it
accepts bytes, which it checks, and refuses pickles that name anything to be called. They can still report
false results, and send more than memory or disk hold.
"""
