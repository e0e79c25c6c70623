"""A physical baseline under the network: exchange, anisotropy and Landau energy."""
