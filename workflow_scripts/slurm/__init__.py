"""Corrections of Snakemake's SLURM executor plugin."""
