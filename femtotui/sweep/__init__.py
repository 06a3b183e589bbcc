"""Sweeps: many runs on the cores of this machine, or of many by dask.distributed (extra `femtotui[cluster]`).

Reading order: spec, named_setting, grid (what is to be trained), messages (what travels), attempt and work (a
run, wherever it is trained), archive (its way home), outcome, ranking, halving, sweep_folder, engine with
local_engine (this machine: pipes, no ports) or with dask_engine, worker_task and pickles (other machines),
sweep (all of it together), table.

Whoever can connect to a Dask cluster, by its certificate or because it asks for none, can run code on its
scheduler and workers: Dask is made so. In the process that leads the sweep they run nothing: it takes bytes,
which it checks, and refuses pickles that name anything to be called. They can still lie about a run, and send
more than memory or disk hold.
"""
