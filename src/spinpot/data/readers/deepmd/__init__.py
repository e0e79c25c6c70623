"""deepmd-kit's and dpdata's layouts: npy, raw, mixed, HDF5, LMDB."""
