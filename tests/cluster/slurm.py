"""A real SLURM of one node with two fake GPUs, from Debian's packages.

    python -m tests.cluster.slurm up
    python -m tests.cluster.slurm down

It needs root, because SLURM starts every job as its user, and /etc/slurm, because the job steps of Snakemake's plugin
read no other folder. A SLURM of a site that is configured there is never changed.
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
STARTED_MUNGE = FOLDER / "started_munge"  # there if munged was started here
MARK = "ClusterName=prelude"  # distinguishes this configuration from that of a site
PARTITION, WITHOUT_GPU, URGENT = "gpu", "cpu", "urgent"
TIMEOUT_SECONDS = 60.0  # daemons answer within two
APT_TIMEOUT_SECONDS = 300.0  # for some megabytes; without a network apt would try for longer

# A small cluster with more cores than the machine has, because rules request 8; enforced memory limits (a job is killed
# within two seconds); an urgent partition whose jobs preempt others; and short waits everywhere. Processes are tracked
# by their group: linuxproc, which tracks parents, loses processes whose parent died first.
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
PartitionName={without_gpu} Nodes={host} MaxTime=INFINITE PriorityTier=1 State=UP
PartitionName={urgent} Nodes={host} MaxTime=INFINITE PriorityTier=2 State=UP
"""
GRES_CONF = "NodeName={host} Name=gpu File={folder}/fakegpu[0-1]\n"


MESSAGES = {
    "up": (
        f"SLURM runs on this machine: partitions {PARTITION} (two fake GPUs), {WITHOUT_GPU} and {URGENT}; it has "
        f"Debian's packages {', '.join(PACKAGES)}, settings in {CONFIGURATION}, state and logs in {FOLDER}\n"
        "submit:  make run CONFIG=config/smoke.yaml PROFILE=config/profiles/slurm\n"
        "look:    squeue --me -o '%i %T %M %k'\n"
        "stop:    make slurm-down"
    ),
    "down": (
        "SLURM is stopped, with its jobs; its settings, state and logs are removed\n"
        f"packages that are still there:  apt-get purge {' '.join(PACKAGES)}"
    ),
}


class UnavailableError(Exception):
    """SLURM cannot run here; the message is the reason."""


@dataclass(frozen=True, kw_only=True)
class Daemon:
    """One of SLURM's two daemons."""

    name: str

    @property
    def process_id(self) -> int | None:
        """Process id, or None if the daemon does not run."""
        try:
            number = int((FOLDER / f"{self.name}.pid").read_text())
            state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
        except (OSError, ValueError):
            return None
        return None if state == "Z" else number  # zombies remain where no init process reaps them, as in containers

    def start(self) -> None:
        """Start the daemon unless it runs."""
        if self.process_id is None:
            subprocess.run([f"/usr/sbin/{self.name}"], check=True)
            wait_until(lambda: self.process_id is not None, f"{self.name} does not start: see {FOLDER}/{self.name}.log")

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Stop the daemon, by default with a signal that lets it save its state."""
        process_id = self.process_id
        if process_id is not None:
            os.kill(process_id, number)
            wait_until(lambda: self.process_id is None, f"{self.name} does not stop")


CONTROLLER, NODE = Daemon(name="slurmctld"), Daemon(name="slurmd")


def start_cluster() -> None:
    """Start SLURM, after installing it if necessary. Raises `UnavailableError` if that is impossible."""
    if os.geteuid() != 0:
        raise UnavailableError("starting SLURM needs root")
    _install()
    config_file = CONFIGURATION / "slurm.conf"
    if config_file.exists() and not config_file.read_text().startswith(MARK):
        raise UnavailableError(f"{config_file} belongs to another SLURM")
    _start_munge()
    _configure()
    try:
        CONTROLLER.start()
        NODE.start()
        resume_node()
    except BaseException:
        stop_cluster()  # with a configuration but no controller, each start of Snakemake would wait for it for 10 s
        raise


def stop_cluster() -> None:
    """Stop SLURM with all its jobs, and remove its configuration and state."""
    if CONTROLLER.process_id is not None:
        subprocess.run(["scancel", "--user", "root"], check=False)
        with contextlib.suppress(TimeoutError):  # the daemons are stopped in any case
            wait_until(lambda: not run("squeue", "--noheader"), "jobs do not end")
    NODE.stop()
    CONTROLLER.stop()
    _stop_munge()
    shutil.rmtree(FOLDER, ignore_errors=True)
    config_file = CONFIGURATION / "slurm.conf"
    if config_file.exists() and config_file.read_text().startswith(MARK):
        for name in ("slurm.conf", "gres.conf"):
            (CONFIGURATION / name).unlink(missing_ok=True)


def resume_node() -> None:
    """Bring the node back into service, whatever its state."""

    def is_in_service() -> bool:
        state = run("sinfo", "--noheader", f"--partition={PARTITION}", "--format=%T")
        if state.startswith(("down", "drain", "fail")):
            subprocess.run(
                ["scontrol", "update", f"nodename={host_name()}", "state=resume"], capture_output=True, check=False
            )
        return state in ("idle", "mixed", "allocated")

    wait_until(is_in_service, "the node does not come back")


def host_name() -> str:
    """Return the name of the node, which is this machine."""
    return socket.gethostname().split(".")[0]


def run(*command: str) -> str:
    """Return the output of a SLURM command, empty while the controller does not answer."""
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def wait_until(
    condition: Callable[[], object], message: str | Callable[[], str], *, seconds: float = TIMEOUT_SECONDS
) -> None:
    """Wait until a condition is true. Raises `TimeoutError` with the message, evaluated by then, if it stays false."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(message if isinstance(message, str) else message())
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
            result = subprocess.run(
                ["apt-get", *command],
                env=quiet,
                capture_output=True,
                text=True,
                check=False,
                timeout=APT_TIMEOUT_SECONDS,
            )
        except subprocess.TimeoutExpired as error:
            raise UnavailableError(f"apt-get {command[0]} does not end") from error
        if result.returncode:
            raise UnavailableError(f"apt-get {command[0]} failed: {result.stderr.strip().splitlines()[-1:]}")


def _configure() -> None:
    names = {"host": host_name(), "folder": FOLDER, "mark": MARK}
    for folder in ("state", "spool"):
        (FOLDER / folder).mkdir(parents=True, exist_ok=True)
    for number in (0, 1):
        (FOLDER / f"fakegpu{number}").touch()
    CONFIGURATION.mkdir(exist_ok=True)
    text = SLURM_CONF.format(**names, partition=PARTITION, without_gpu=WITHOUT_GPU, urgent=URGENT)
    (CONFIGURATION / "slurm.conf").write_text(text)
    (CONFIGURATION / "gres.conf").write_text(GRES_CONF.format(**names))


def _start_munge() -> None:
    if subprocess.run(["munge", "--no-input"], capture_output=True, check=False).returncode == 0:
        return
    MUNGE.mkdir(exist_ok=True)
    shutil.chown(MUNGE, "munge")
    subprocess.run(["/usr/sbin/runuser", "--user", "munge", "--", "/usr/sbin/munged"], check=True)
    FOLDER.mkdir(parents=True, exist_ok=True)
    STARTED_MUNGE.touch()


def _stop_munge() -> None:
    """Stop munged if it was started here: another program may use one that was running before."""
    if STARTED_MUNGE.exists():
        with contextlib.suppress(OSError, ValueError):  # it has ended by itself
            os.kill(int((MUNGE / "munged.pid").read_text()), signal.SIGTERM)
        wait_until(lambda: not (MUNGE / "munged.pid").exists(), "munged does not stop")


def main() -> None:
    """Start or stop the SLURM of this machine."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["up", "down"])
    action = parser.parse_args().action
    try:
        {"up": start_cluster, "down": stop_cluster}[action]()
    except UnavailableError as error:
        sys.exit(f"prelude: {error}")
    print(MESSAGES[action])


if __name__ == "__main__":
    main()
