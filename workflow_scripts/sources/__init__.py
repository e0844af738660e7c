"""Getting a data set onto the disk: remote files, downloads and safe unpacking."""
