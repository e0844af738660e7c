"""Check that an encoder keeps its contract: one line for each point, exit code 0, or 1 where any point fails.

    python -m workflow_scripts.check_encoder NAME | --hear MODULE | --module FILE | --transformers DIR
        [--options JSON] [--sample-rate HZ]

NAME is an encoder of Prelude, or a level of one's own; the flags name an encoder of others by its module, file or
folder. `--sample-rate` is what the config would state for it.

Points: sample rate, shapes, a clip in a batch against the same clip alone, clips of 0.5, 3, 10 and 30 s, silence,
values that are not finite, the same result again in evaluation mode, frames per second, gradients; and, as numbers,
parameters, seconds of audio encoded in a second, and memory.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from workflow_scripts.core.cli import command_parser
from workflow_scripts.core.errors import UserError, run_command
from workflow_scripts.core.escapes import printable
from workflow_scripts.core.json_options import parse_options
from workflow_scripts.evaluation.encoder_checks import check_encoder
from workflow_scripts.levels import registry

#: levels of encoders of others, with the option that identifies one
EXTERNAL_LEVELS = {"hear": "module", "module": "path", "transformers": "path"}
EXIT_FAULT = 1


def main(argv: list[str] | None = None) -> None:
    """Check one encoder."""
    arguments = _parser().parse_args(argv)
    name, options = _choice(arguments)
    level = registry.load("encoder", name)
    faults = 0
    for finding in check_encoder(level, options):
        verdict = "ok" if finding.passed else "FAULT"
        line = f"{verdict:5}  {finding.point:20}  {' '.join(finding.detail.split())}"
        print(printable(line), flush=True)
        faults += not finding.passed
    if faults:
        sys.exit(EXIT_FAULT)


def _choice(arguments: argparse.Namespace) -> tuple[str, dict[str, Any]]:
    """Return the level, and its options."""
    external = {level: value for level in EXTERNAL_LEVELS if (value := getattr(arguments, level)) is not None}
    if len(external) + (arguments.name is not None) != 1:
        raise UserError("name one encoder: NAME, --hear, --module or --transformers")
    options = parse_options(arguments.options)
    if arguments.sample_rate is not None:
        options["sample_rate"] = arguments.sample_rate
    for level, value in external.items():
        return level, options | {EXTERNAL_LEVELS[level]: value}
    return arguments.name, options


def _parser() -> argparse.ArgumentParser:
    parser = command_parser("check_encoder", __doc__)
    parser.add_argument("name", nargs="?", metavar="NAME", help=f"level: {', '.join(registry.names('encoder'))}")
    parser.add_argument("--hear", metavar="MODULE", help="a module with the HEAR API (its folder is an option)")
    parser.add_argument("--module", metavar="FILE", help="a class in a Python file")
    parser.add_argument("--transformers", metavar="DIR", help="a folder of Hugging Face")
    parser.add_argument("--options", default="{}", metavar="JSON", help="the encoder's options (defaults)")
    parser.add_argument("--sample-rate", type=int, metavar="HZ", help="the same as the option sample_rate")
    return parser


if __name__ == "__main__":
    run_command(main)
