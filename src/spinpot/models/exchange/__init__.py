"""A physical term under the network: what of E(R, S) is exchange, anisotropy and Landau energy."""
