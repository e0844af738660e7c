"""Published sizes of the networks, without torch: levels, planning and the reproduction tables read them too."""
