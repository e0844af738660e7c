"""Accounts of containers: a user who is only a number, without a home folder, beside code that nobody may write."""

from __future__ import annotations

import getpass
import json
import os
import pwd
import stat
from pathlib import Path

import pytest

from workflow_scripts import acquire
from workflow_scripts.core import account
from workflow_scripts.core.errors import UserError


@pytest.fixture
def nameless(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user number without a name and without a home."""

    def unknown(number: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {number}")

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    for variable in ("LOGNAME", "USER", "LNAME", "USERNAME", "HOME", "XDG_CACHE_HOME", "NUMBA_CACHE_DIR"):
        monkeypatch.setenv(variable, "")  # to be restored, also where it is set below
        monkeypatch.delenv(variable)


@pytest.mark.usefixtures("nameless")
def test_a_user_without_a_name_is_called_by_the_number() -> None:
    account.adapt_environment()
    assert getpass.getuser() == f"uid{os.getuid()}"


@pytest.mark.usefixtures("nameless")
@pytest.mark.parametrize("code_is_writable", [True, False])
def test_numba_gets_a_private_folder_where_it_can_write_to_no_other(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code_is_writable: bool
) -> None:
    monkeypatch.setattr(account.tempfile, "tempdir", str(tmp_path))
    if not code_is_writable:
        (tmp_path / "file").touch()
        monkeypatch.setattr(account, "PACKAGE", tmp_path / "file")
    account.adapt_environment()
    folder = os.environ.get("NUMBA_CACHE_DIR")
    assert (folder is None) == code_is_writable
    if folder is not None:
        assert stat.S_IMODE(Path(folder).stat().st_mode) == 0o700  # numba runs what it finds there
        assert Path(folder).parent == tmp_path


def test_a_usual_account_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    before = dict(os.environ)
    account.adapt_environment()
    assert dict(os.environ) == before


@pytest.mark.usefixtures("nameless")
@pytest.mark.parametrize("path", ["~/music", "~nobody-of-this-name/music"])
def test_a_home_that_is_not_known_is_a_missing_folder(tmp_path: Path, path: str) -> None:
    config = {"dataset": "toy", "loader": "folder", "source": "local", "path": path}
    with pytest.raises(UserError, match=r"missing: correct its `path`"):
        acquire.main(["--config", json.dumps(config), "--code", "c", "--output", str(tmp_path / "data")])
