"""A real SLURM of one node with two GPUs that do not exist, from Debian's packages.

    python -m tests.cluster.slurm up
    python -m tests.cluster.slurm down

It needs root, for SLURM starts every job as its user, and /etc/slurm, for the job steps of Snakemake's plugin look
nowhere else. It never touches a SLURM that somebody else configured there.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

PACKAGES = ("slurmctld", "slurmd", "slurm-client", "munge")
PROGRAMS = ("slurmctld", "slurmd", "sbatch", "munged")
CONFIGURATION = Path("/etc/slurm")
MUNGE = Path("/run/munge")
FOLDER = Path(tempfile.gettempdir()) / "prelude-slurm"
MARK = "ClusterName=prelude"  # tells our configuration from that of a site
PARTITION, URGENT = "gpu", "urgent"
PATIENCE = 60.0  # seconds; daemons answer within two
APT_PATIENCE = 300.0  # seconds, for some megabytes; where no network answers it would try for longer

# Beside what a small cluster needs: more cores than the machine has, for rules ask for 8; limits of memory that are
# watched (a job is killed within two seconds); an urgent partition whose jobs end others; and short waits everywhere.
# Processes are known by their group: linuxproc, which asks who started them, loses those whose parent died first.
SLURM_CONF = """\
{mark}
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=cred_expire=10
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=sched_interval=2
ReturnToService=2
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
MpiDefault=none
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=2
JobAcctGatherParams=OverMemoryKill
PreemptType=preempt/partition_prio
PreemptMode=CANCEL
SlurmdParameters=config_overrides
SlurmdTimeout=10
KillWait=10
MessageTimeout=3
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs=16 RealMemory=64000 Gres=gpu:2 State=UNKNOWN
PartitionName={partition} Nodes={host} Default=YES MaxTime=INFINITE PriorityTier=1 State=UP
PartitionName={urgent} Nodes={host} MaxTime=INFINITE PriorityTier=2 State=UP
"""
GRES_CONF = "NodeName={host} Name=gpu File={folder}/fakegpu[0-1]\n"


class UnavailableError(Exception):
    """There can be no SLURM here; says why."""


@dataclass(frozen=True, kw_only=True)
class Daemon:
    """One of SLURM's two daemons."""

    name: str

    @property
    def process(self) -> int | None:
        """Its process id, or None where it does not run."""
        try:
            number = int((FOLDER / f"{self.name}.pid").read_text())
            state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
        except (OSError, ValueError):
            return None
        return None if state == "Z" else number  # where nobody buries the dead, as in containers, they stay

    def start(self) -> None:
        """Start it where it does not run."""
        if self.process is None:
            subprocess.run([f"/usr/sbin/{self.name}"], check=True)
            wait(lambda: self.process is not None, f"{self.name} does not start: see {FOLDER}/{self.name}.log")

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Stop it, by default so that it can save what it knows."""
        process = self.process
        if process is not None:
            os.kill(process, number)
            wait(lambda: self.process is None, f"{self.name} does not stop")


CONTROLLER, NODE = Daemon(name="slurmctld"), Daemon(name="slurmd")


def up() -> None:
    """Start SLURM, installing it first where that is possible; `UnavailableError` says why there can be none."""
    if os.geteuid() != 0:
        raise UnavailableError("starting SLURM needs root")
    _install()
    configured = CONFIGURATION / "slurm.conf"
    if configured.exists() and not configured.read_text().startswith(MARK):
        raise UnavailableError(f"{configured} belongs to another SLURM")
    _start_munge()
    _configure()
    try:
        CONTROLLER.start()
        NODE.start()
        resume()
    except BaseException:
        down()  # with a configuration but no controller, each start of Snakemake would ask it in vain for 10 s
        raise


def down() -> None:
    """Stop SLURM with all its jobs, and remove its configuration and all it knows."""
    if CONTROLLER.process is not None:
        subprocess.run(["scancel", "--user", "root"], check=False)
        with contextlib.suppress(TimeoutError):  # the daemons are stopped all the same
            wait(lambda: not run("squeue", "--noheader"), "jobs do not end")
    NODE.stop()
    CONTROLLER.stop()
    shutil.rmtree(FOLDER, ignore_errors=True)
    configured = CONFIGURATION / "slurm.conf"
    if configured.exists() and configured.read_text().startswith(MARK):
        for name in ("slurm.conf", "gres.conf"):
            (CONFIGURATION / name).unlink(missing_ok=True)


def resume() -> None:
    """Bring the node back into service, whatever made it leave."""

    def serves() -> bool:
        state = run("sinfo", "--noheader", f"--partition={PARTITION}", "--format=%T")
        if state.startswith(("down", "drain", "fail")):
            subprocess.run(
                ["scontrol", "update", f"nodename={host()}", "state=resume"], capture_output=True, check=False
            )
        return state in ("idle", "mixed", "allocated")

    wait(serves, "the node does not come back")


def host() -> str:
    """Name of the node: this machine."""
    return socket.gethostname().split(".")[0]


def run(*command: str) -> str:
    """Output of one of SLURM's commands, or nothing while the controller does not answer."""
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def wait(until: Callable[[], object], complaint: str | Callable[[], str], *, seconds: float = PATIENCE) -> None:
    """Wait until something is true; `TimeoutError` with the complaint, as it is by then, when it does not come."""
    ends = time.monotonic() + seconds
    while not until():
        if time.monotonic() > ends:
            raise TimeoutError(complaint if isinstance(complaint, str) else complaint())
        time.sleep(0.1)


def _install() -> None:
    path = os.pathsep.join([os.environ["PATH"], "/usr/sbin"])
    if all(shutil.which(program, path=path) for program in PROGRAMS):
        return
    if not shutil.which("apt-get"):
        raise UnavailableError(f"SLURM is not installed, and there is no apt-get to install {', '.join(PACKAGES)}")
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "--yes", "--no-install-recommends", *PACKAGES]):
        try:
            done = subprocess.run(
                ["apt-get", *command], env=quiet, capture_output=True, text=True, check=False, timeout=APT_PATIENCE
            )
        except subprocess.TimeoutExpired as error:
            raise UnavailableError(f"apt-get {command[0]} does not end") from error
        if done.returncode:
            raise UnavailableError(f"apt-get {command[0]} failed: {done.stderr.strip().splitlines()[-1:]}")


def _configure() -> None:
    names = {"host": host(), "folder": FOLDER, "mark": MARK}
    for folder in ("state", "spool"):
        (FOLDER / folder).mkdir(parents=True, exist_ok=True)
    for number in (0, 1):
        (FOLDER / f"fakegpu{number}").touch()
    CONFIGURATION.mkdir(exist_ok=True)
    text = SLURM_CONF.format(**names, partition=PARTITION, urgent=URGENT)
    (CONFIGURATION / "slurm.conf").write_text(text)
    (CONFIGURATION / "gres.conf").write_text(GRES_CONF.format(**names))


def _start_munge() -> None:
    if subprocess.run(["munge", "--no-input"], capture_output=True, check=False).returncode == 0:
        return
    MUNGE.mkdir(exist_ok=True)
    shutil.chown(MUNGE, "munge")
    subprocess.run(["/usr/sbin/runuser", "--user", "munge", "--", "/usr/sbin/munged"], check=True)


def main() -> None:
    """Start or stop the SLURM of this machine."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["up", "down"])
    try:
        {"up": up, "down": down}[parser.parse_args().what]()
    except UnavailableError as error:
        sys.exit(f"prelude: {error}")


if __name__ == "__main__":
    main()
