"""One model over several processes or hosts, by MPI: the optional extra `femtotui[mpi]`.

Reading order: world (the processes), assignment (what rank 0 gives the others), lead, follow.
Nothing here is imported without `--mpi`.
"""
