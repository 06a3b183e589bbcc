"""One model over several processes or hosts, by MPI: the optional extra `femtotui[mpi]`.

Reading order: launch (joins the processes; no NumPy yet), ranks (what each of them does then).
Nothing here is imported without `--mpi`.
"""
