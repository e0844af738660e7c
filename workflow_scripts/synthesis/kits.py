"""Drum patterns shared by several styles: one letter per sixteenth, or per eighth note of a swing."""

from __future__ import annotations

from workflow_scripts.synthesis import instruments as gm

Kit = dict[int, str]  # percussion instrument -> rhythm: X hard, x soft, . barely audible, - rest

ROCK: Kit = {gm.KICK: "X-----x-X-x-----", gm.SNARE: "----X-------X---", gm.HAT: "x-x-x-x-x-x-x-x-"}
HOUSE: Kit = {gm.KICK: "X---X---X---X---", gm.OPEN_HAT: "--x---x---x---x-", gm.CLAP: "----X-------X---"}
SHUFFLE: Kit = {gm.KICK: "X---X---", gm.SNARE: "--X---X-", gm.HAT: "X-xxX-xx"}
SWING: Kit = {gm.RIDE: "X-xxX-xx", gm.PEDAL_HAT: "--x---x-", gm.KICK: "x---.---"}
TRAIN: Kit = {gm.SNARE: "x.X.x.X.", gm.KICK: "X---X---"}
