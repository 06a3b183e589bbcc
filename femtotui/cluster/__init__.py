"""Sweeps: many runs on the cores of one machine or of many, by dask.distributed (extra `femtotui[cluster]`).

Reading order: spec, named_setting, grid (what is to be trained), messages (what travels), attempt and
worker_task (a run on a worker), archive (its way home), outcome, ranking, halving, sweep_folder, dask_engine,
sweep (all of it together), table.

Whoever reaches a Dask scheduler can run code on its workers: that is Dask's trust, and nothing here widens
it. What femtotui itself sends are plain bytes, checked where they arrive.
"""
