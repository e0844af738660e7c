"""Device, precision and compilation of a training job."""

from __future__ import annotations

import copy
import platform
import sys
from typing import Literal

import torch
from torch import Tensor, nn

from workflow_scripts.core.errors import NOTE, UserError, format_message
from workflow_scripts.pretraining import distributed

APPLE = "computing on the CPU: Apple's GPU (mps) has no float64, in which features and their statistics are computed"


def best_device() -> torch.device:
    """Return the GPU if there is one, else the CPU; a printed line says why Apple's GPU is not used."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        print(format_message(f"{NOTE}{APPLE}"), file=sys.stderr, flush=True)
    return torch.device("cpu")


def use_threads(threads: int) -> None:
    """Limit torch to `threads` CPU threads; 0 keeps torch's own choice."""
    if threads:
        torch.set_num_threads(threads)


def device_name(device: torch.device) -> str:
    """Return the name of the device for records."""
    return f"cuda: {torch.cuda.get_device_name(device)}" if device.type == "cuda" else f"cpu: {platform.machine()}"


def autocast_type(precision: str, device: torch.device) -> torch.dtype | None:
    """Return the type for autocast, or None for plain float32; `UserError` if the GPU does not support bf16.

    `auto` is float32 on CPUs: on two twins, SampleCNN's scores after bf16 differed from those after float32.
    """
    if precision == "float32" or (precision == "auto" and device.type != "cuda"):
        return None
    if device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        if precision == "auto":
            return None
        raise UserError("recipe: precision bf16 is not supported by this GPU: use auto or float32")
    return torch.bfloat16


def cpu_has_bf16() -> bool:
    """Return whether the CPU has instructions for bf16; others emulate it, which is slower than float32."""
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in ("avx512_bf16", "amx_bf16"))


def should_compile(choice: bool | Literal["auto"], device: torch.device) -> bool:
    """Return whether to compile on `device`: `auto` only on a GPU, as minutes of compiling rarely pay on a CPU."""
    return device.type == "cuda" if choice == "auto" else choice


class CompiledModule:
    """A module called through `torch.compile`, or plainly, after a printed warning, if compilation fails.

    The module itself is unchanged: its parameters and state-dict keys are those of the plain module.
    """

    def __init__(self, module: nn.Module) -> None:
        """Compile `module` at the first call."""
        self.module, self.works = module, False
        self._compiled = torch.compile(module)
        self._tried = False

    def __call__(self, values: Tensor) -> Tensor:
        """Return `module(values)`."""
        if not self._tried:
            self._tried, self.works = True, self._try_compilation(values)
        return self._compiled(values) if self.works else self.module(values)

    def _try_compilation(self, values: Tensor) -> bool:
        """Compile forward and backward on `values`, without effect on the module or the random numbers."""
        state_before, reason = copy.deepcopy(self.module.state_dict()), ""
        trainable = [parameter for parameter in self.module.parameters() if parameter.requires_grad]
        with torch.random.fork_rng([values.device] if values.device.type == "cuda" else []):
            try:
                torch.autograd.grad(self._compiled(values).sum(), trainable, allow_unused=True)
            except Exception as error:  # compilers fail in many ways; a fault of the module itself shows when it runs
                reason = f"{type(error).__name__}: {error}"
        self.module.load_state_dict(state_before)
        if reason and distributed.is_main_process():
            line = " ".join(reason.split())[:200]  # a compiler's report can fill pages
            print(f"training without torch.compile, which failed ({line})", file=sys.stderr, flush=True)
        return not distributed.all_reduce_max(bool(reason))  # either all processes compile or none does
