"""Job configs: all that a job reads of the config, written by planning and read by the command of the same name.

Each model is in a module of its own, so a change of one re-runs no other job.
"""
