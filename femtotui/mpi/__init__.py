"""One model trained by several processes or hosts, by MPI: the optional extra `femtotui[mpi]`."""
