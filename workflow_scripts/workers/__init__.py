"""Workers (pretext tasks on an encoder), one file each."""
