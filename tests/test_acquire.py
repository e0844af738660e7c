import json
import os
import tarfile
from pathlib import Path

import pytest

from tests.sources.server import Site, serve_site
from tests.toy_level import install_toy_level
from workflow_scripts import acquire
from workflow_scripts.core import checksums, provenance
from workflow_scripts.core.errors import UserError
from workflow_scripts.core.files import hold_lock
from workflow_scripts.sources.acquisition import read_acquisition
from workflow_scripts.sources.remotes import Remote


@pytest.fixture
def level(monkeypatch):
    return install_toy_level(monkeypatch)


def run(root, *, code="c0de", **config):
    full = {"dataset": "toy_set", "loader": "toy", **config}
    acquire.main(["--config", json.dumps(full), "--code", code, "--output", str(root)])
    return read_acquisition(root / "acquired.json")


def stated_digest(root):
    return json.loads((root / "acquired.json").read_text())


def test_local_copy_stays_where_it_is(tmp_path):
    (tmp_path / "mine" / "audio").mkdir(parents=True)
    (tmp_path / "mine" / "audio" / "a.wav").write_bytes(b"1234")
    acquired = run(tmp_path / "root", source="local", path=str(tmp_path / "mine"))
    assert acquired.root == tmp_path / "mine"
    keys = "dataset source root digest files places code config seconds sha256"
    assert set(stated_digest(tmp_path / "root")) == set(keys.split())
    assert (acquired.dataset, acquired.source) == ("toy_set", "local")
    same = run(tmp_path / "root", source="local", path=str(tmp_path / "mine"))
    assert same.digest == acquired.digest
    (tmp_path / "mine" / "audio" / "a.wav").write_bytes(b"12345")
    longer = run(tmp_path / "root", source="local", path=str(tmp_path / "mine"))
    (tmp_path / "mine" / "audio" / "a.wav").rename(tmp_path / "mine" / "audio" / "b.wav")
    renamed = run(tmp_path / "root", source="local", path=str(tmp_path / "mine"))
    assert len({acquired.digest, longer.digest, renamed.digest}) == 3


def test_local_copy_with_links_in_a_circle(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "a.wav").write_bytes(b"1")
    (tmp_path / "mine" / "loop").symlink_to(tmp_path / "mine")
    (tmp_path / "mine" / "dangling").symlink_to(tmp_path / "nowhere")
    run(tmp_path / "root", source="local", path=str(tmp_path / "mine"))


@pytest.mark.parametrize(
    ("config", "match"),
    [
        ({"source": "local"}, "needs `path`"),
        ({"source": "local", "path": "/no/such/folder"}, "missing"),
        ({"source": "local", "path": __file__}, "no folder"),
        ({"source": "elsewhere"}, "allowed: download, local, twin"),
        ({"source": "twin", "twin": {"clips": 3}}, "clip_seconds"),
    ],
)
def test_wrong_configs_end_in_one_line(tmp_path, level, config, match):
    with pytest.raises(UserError, match=match) as caught:
        run(tmp_path / "root", **config)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "root" / "acquired.json").exists()


def test_empty_local_folder(tmp_path):
    (tmp_path / "mine").mkdir()
    with pytest.raises(UserError, match="is empty"):
        run(tmp_path / "root", source="local", path=str(tmp_path / "mine"))


TWIN = {"clips": 3, "clip_seconds": 1.0}


def test_twin_is_written_once_per_options_and_code(tmp_path, level):
    written = []

    def write(root, options):
        written.append(options)
        (root / "labels.csv").write_text(f"{options.clips},{options.seed}")

    level.write = write
    root = tmp_path / "root"
    first = run(root, source="twin", twin=TWIN)
    assert first.root == root / "twin"
    assert (first.root / "labels.csv").read_text() == "3,0"
    (root / "acquired.json").unlink()  # as Snakemake does before it runs a job again
    again = run(root, source="twin", twin=TWIN)
    assert (len(written), again.digest) == (1, first.digest)
    seeded = run(root, source="twin", twin={**TWIN, "seed": 5})
    assert (seeded.root / "labels.csv").read_text() == "3,5"
    recoded = run(root, source="twin", twin={**TWIN, "seed": 5}, code="other")
    assert len(written) == 3
    assert len({first.digest, seeded.digest, recoded.digest}) == 3


def test_twin_that_fails_half_way_leaves_nothing(tmp_path, level):
    def write(root, options):
        (root / "labels.csv").write_text("half")
        raise UserError("no SoundFont")

    level.write = write
    with pytest.raises(UserError, match="no SoundFont"):
        run(tmp_path / "root", source="twin", twin=TWIN)
    assert [p.name for p in (tmp_path / "root").iterdir()] == [".lock"]


class Killed(BaseException):
    """An end that leaves no time to tidy up, as SIGKILL."""


def test_what_killed_jobs_left_of_twins_does_not_pile_up(tmp_path, level, monkeypatch):
    def write(root, options):
        (root / "audio").write_text("half")
        raise Killed

    level.write, root = write, tmp_path / "root"
    with monkeypatch.context() as patch:
        patch.setattr("shutil.rmtree", lambda *_, **__: None)
        with pytest.raises(Killed):
            run(root, source="twin", twin=TWIN)
    assert len(list(root.rglob("audio"))) == 1
    (root / ".acquired.json.x1y2.partial.json").write_text("{")
    level.write = lambda root, options: (root / "labels.csv").write_text("x")
    run(root, source="twin", twin=TWIN)
    names = [".lock", "acquired.json", "twin", "twin.json", "twin/labels.csv"]
    assert sorted(str(path.relative_to(root)) for path in root.rglob("*")) == names


def test_folder_can_be_moved(tmp_path, level):
    level.write = lambda root, options: (root / "labels.csv").write_text("x")
    run(tmp_path / "root", source="twin", twin=TWIN)
    (tmp_path / "root").rename(tmp_path / "elsewhere")
    assert read_acquisition(tmp_path / "elsewhere" / "acquired.json").root == tmp_path / "elsewhere" / "twin"


def archive_bytes(tmp_path):
    (tmp_path / "in" / "toy-1.0").mkdir(parents=True)
    (tmp_path / "in" / "toy-1.0" / "a.txt").write_text("a")
    with tarfile.open(tmp_path / "toy.tgz", "w:gz") as archive:
        archive.add(tmp_path / "in" / "toy-1.0", "toy-1.0")
    return (tmp_path / "toy.tgz").read_bytes()


def test_download_fetches_unpacks_and_does_neither_twice(tmp_path, level, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    root = tmp_path / "root"
    with serve_site(Site(archive_bytes(tmp_path))) as site:
        level.REMOTES = {
            "archive": Remote(url=site.url, name="toy.tgz", unpack=True),
            "list": Remote(url=site.url, name="list.csv", destination="toy-1.0/lists"),
        }
        first = run(root, source="download")
        assert len(site.requests) == 2
        again = run(root, source="download")
        assert len(site.requests) == 2
        level.REMOTES["list"] = Remote(url=site.url, name="list2.csv", destination="toy-1.0/lists")
        other = run(root, source="download")
        assert len(site.requests) == 3
    assert first.root == tmp_path / "downloads" / "toy"
    assert (first.root / "toy-1.0" / "a.txt").read_text() == "a"
    assert (first.root / "toy-1.0" / "lists" / "list.csv").stat().st_size == (tmp_path / "toy.tgz").stat().st_size
    assert first.digest == again.digest != other.digest
    assert not list(tmp_path.rglob(".archives/*.tgz"))


@pytest.mark.parametrize("remotes", [{}, {"labels": Remote(url="http://127.0.0.1:1/labels.csv")}])
def test_set_without_public_audio_says_what_to_do(tmp_path, level, remotes):
    level.REMOTES, level.AUDIO_PUBLIC = remotes, False
    with pytest.raises(UserError, match=r"cannot be downloaded.*docs/data\.md.*source: local"):
        run(tmp_path / "root", source="download")


def test_two_processes_do_not_fill_one_folder(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    with (
        hold_lock(root / ".lock", name="x"),
        pytest.raises(UserError, match=rf"root is in use by .*process {os.getpid()}"),
    ):
        run(root, source="local", path=str(Path(__file__).parent))
    run(root, source="local", path=str(Path(__file__).parent))


def test_acquired_json_is_checked_when_read(tmp_path):
    path = tmp_path / "root" / "acquired.json"
    with pytest.raises(UserError, match="missing"):
        read_acquisition(path)
    run(path.parent, source="local", path=str(Path(__file__).parent))
    with pytest.raises(UserError, match="acquired as 'local'"):
        read_acquisition(path, source="twin")
    job_digest = provenance.digest([stated_digest(path.parent)["code"], stated_digest(path.parent)["config"]])
    read_acquisition(path, job_digest=job_digest)
    with pytest.raises(UserError, match="with other settings or code"):
        read_acquisition(path, job_digest="0" * 16)
    for damaged in ("{", "{}", "[]", '{"dataset": "a", "source": "b", "root": 3, "digest": "d"}'):
        path.write_text(damaged)
        with pytest.raises(UserError, match=r"damaged|earlier version"):
            read_acquisition(path)
    run(path.parent, source="local", path=str(Path(__file__).parent))
    path.write_text(path.read_text().replace('"digest": "', '"digest": "0', 1))
    with pytest.raises(UserError, match=r"acquired\.json is not as its job wrote it: delete it and run again"):
        read_acquisition(path)
    checksums.write_record(path, {"dataset": "a", "source": "local", "root": "gone", "digest": "d"}, files={})
    with pytest.raises(UserError, match="gone"):
        read_acquisition(path)


LINKS = ["downloads", "downloads/toy", "downloads/toy/lists", "downloads/toy/.archives", "root/twin"]


@pytest.mark.parametrize("link", [*LINKS, "downloads/toy/.archives/list.csv.json"])
def test_nothing_is_written_through_a_link_below_the_data_set(tmp_path, level, link):
    """The data root may be shared: another user's link would lead the files of this one elsewhere."""
    level.REMOTES = {"list": Remote(url="http://127.0.0.1:1/list.csv", destination="lists")}
    root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / link).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / link).symlink_to(elsewhere)
    with pytest.raises(UserError, match=rf"{link} is a link.*delete the link"):
        run(root, **({"source": "twin", "twin": TWIN} if link.endswith("twin") else {"source": "download"}))
    assert not list(elsewhere.iterdir())
