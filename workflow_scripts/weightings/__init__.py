"""Ways to weigh the workers' losses, one file each."""
