"""The BLAS library: its threads, its kernel, its speed."""
