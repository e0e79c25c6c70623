"""Native spins: invariants of directions and moments, without virtual atoms; docs/native-spin.md."""
