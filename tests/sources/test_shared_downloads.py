"""Data sets that share files share one folder, and each archive comes once, from wherever a config says."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tarfile
import types
from dataclasses import replace
from pathlib import Path

import pytest

from tests.audio.recordings import write_tone
from tests.checkout import REPOSITORY
from tests.datasets import test_fma
from tests.datasets.files import put
from tests.sources.server import Site, serve_site
from tests.toy_level import install_toy_level
from workflow_scripts import acquire, prepare
from workflow_scripts.audio.corpus import Corpus
from workflow_scripts.core.errors import UserError
from workflow_scripts.core.files import hold_lock
from workflow_scripts.datasets import fma
from workflow_scripts.levels.options import LevelOptions
from workflow_scripts.sources import shared_downloads
from workflow_scripts.sources import unpack as unpack_module
from workflow_scripts.sources.acquisition import read_acquisition
from workflow_scripts.sources.remotes import Remote
from workflow_scripts.sources.shared_downloads import VARIABLE, DownloadSettings, fetch_files


class ToyOptions(LevelOptions):
    subset: str = "small"


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def level(monkeypatch):
    return install_toy_level(monkeypatch, ToyOptions)


@pytest.fixture
def site():
    """Serve every file of `files` under its name; other names are not there."""

    def behaviour(number, handler):
        name = handler.path.partition("?")[0].rpartition("/")[2]
        content = handler.site.files.get(name)
        if content is None:
            handler.answer(404, b"", {})
        else:
            handler.answer(200, content, {})
        return True

    own = Site(b"", behaviour)
    own.files = {}
    with serve_site(own):
        own.folder = own.url.rpartition("/")[0]
        yield own


def pack(folder: Path, name: str, *members: str) -> bytes:
    path = folder / "packed" / name
    path.parent.mkdir(exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        for member in members:
            source = folder / "packed" / "content"
            source.write_text(member)
            archive.add(source, member)
    content = path.read_bytes()
    shutil.rmtree(path.parent)
    return content


def make_remote(site, name: str, content: bytes, **changes) -> Remote:
    site.files[name] = content
    facts = {"algorithm": "md5", "checksum": hashlib.md5(content).hexdigest(), "bytes": len(content)}
    return Remote(url=f"{site.folder}/{name}", **{**facts, "unpack": True, **changes})


def run(data: Path, dataset: str = "toy_set", **options):
    config = {"dataset": dataset, "loader": "toy", "source": "download", "options": options}
    acquire.main(["--config", json.dumps(config), "--code", "c0de", "--output", str(data / dataset)])
    return read_acquisition(data / dataset / "acquired.json")


def set_sources(monkeypatch, *sources, planned=()) -> None:
    monkeypatch.setenv(VARIABLE, json.dumps({"toy": {"sources": sources, "planned": list(planned)}}))


def test_two_data_sets_of_one_loader_share_one_download(tmp_path, level, site):
    level.REMOTES = {"audio": make_remote(site, "toy.tgz", pack(tmp_path, "toy.tgz", "mp3/a.mp3"))}
    first, second = run(tmp_path / "data", "folders"), run(tmp_path / "data", "filtered")
    assert len(site.requests) == 1
    assert first.root == second.root == tmp_path / "data" / "downloads" / "toy"
    assert (first.root / "mp3" / "a.mp3").is_file()
    assert first.digest == second.digest
    (tmp_path / "data").rename(tmp_path / "moved")
    assert read_acquisition(tmp_path / "moved" / "filtered" / "acquired.json").root.is_dir()


def make_subsets(level, tmp_path, site) -> None:
    medium = make_remote(site, "medium.tgz", pack(tmp_path, "medium.tgz", "fma_medium/1.mp3", "fma_medium/2.mp3"))
    small = make_remote(site, "small.tgz", pack(tmp_path, "small.tgz", "fma_small/1.mp3"), within=medium)
    metadata = make_remote(site, "metadata.tgz", pack(tmp_path, "metadata.tgz", "fma_metadata/tracks.csv"))
    audio = {"small": small, "medium": medium}
    level.remotes = lambda options: {"metadata": metadata, "audio": audio[options.subset]}
    level.size = lambda options: {"clips": {"small": 1, "medium": 2}[options.subset], "seconds": 1}


@pytest.mark.parametrize("order", [("small", "medium"), ("medium", "small")])
def test_a_small_set_inside_a_planned_larger_one_is_not_fetched(tmp_path, level, site, monkeypatch, order):
    make_subsets(level, tmp_path, site)
    set_sources(monkeypatch, planned=["metadata.tgz", "medium.tgz"])
    for name in ("ALWAYS_ALLOWED_MEMBERS", "FILES_PER_CLIP"):  # as strict as for millions of clips
        monkeypatch.setattr(unpack_module, name, name.startswith("FILES"))
    digests = {subset: run(tmp_path, subset, subset=subset).digest for subset in order}
    assert len(site.requests) == 2
    assert not (tmp_path / "downloads/toy/fma_small").exists()
    monkeypatch.delenv(VARIABLE)
    alone = run(tmp_path / "other", "small", subset="small")
    assert (alone.root / "fma_small/1.mp3").is_file()
    assert alone.digest == digests["small"] != digests["medium"]  # the same files, wherever they come from


def test_a_larger_archive_that_is_there_serves_although_it_is_not_planned(tmp_path, level, site):
    make_subsets(level, tmp_path, site)
    run(tmp_path, "medium", subset="medium")
    run(tmp_path, "small", subset="small")
    assert len(site.requests) == 2


def test_fma_small_is_prepared_out_of_fma_medium(tmp_path, site, monkeypatch):
    """The whole way of a downloaded set, with the real loader: archives, shared folder, index, decoding."""
    for number in (2, 7, 140, 200):
        write_tone(tmp_path / f"fma_medium/000/{number:06d}.wav", 0.2)
    put(tmp_path, {"fma_metadata/tracks.csv": test_fma.HEADER + test_fma.THIRD + test_fma.ROWS})
    for name in ("fma_medium", "fma_metadata"):
        shutil.make_archive(str(tmp_path / name), "zip", tmp_path, name)
    contents = {name: (tmp_path / f"{name}.zip").read_bytes() for name in ("fma_medium", "fma_metadata")}
    medium, metadata = (make_remote(site, f"{name}.zip", content) for name, content in contents.items())
    monkeypatch.setattr(fma, "METADATA", metadata)
    monkeypatch.setattr(fma, "AUDIO", {"small": replace(fma.AUDIO["small"], within=medium), "medium": medium})
    monkeypatch.setenv(VARIABLE, json.dumps({"fma": {"planned": ["fma_medium.zip", "fma_metadata.zip"]}}))
    counts = {}
    for subset in ("small", "medium"):
        config = {"dataset": subset, "loader": "fma", "options": {"subset": subset}}
        arguments = ["--code", "c", "--config", json.dumps({**config, "source": "download"})]
        acquire.main([*arguments, "--output", str(tmp_path / "data" / subset)])
        acquired, corpus = tmp_path / "data" / subset / "acquired.json", tmp_path / "corpora" / subset
        given = json.dumps({**config, "sample_rate": 16000, "source": "download"})
        prepare.main(["--code", "c", "--config", given, "--acquired", str(acquired), "--output", str(corpus)])
        counts[subset] = Corpus(corpus).facts.clips
    assert counts == {"small": 3, "medium": 4}
    assert len(site.requests) == 2


def test_content_that_was_deleted_is_fetched_again(tmp_path, level, site):
    level.REMOTES = {"audio": make_remote(site, "toy.tgz", pack(tmp_path, "toy.tgz", "mp3/a.mp3"))}
    root = run(tmp_path).root
    shutil.rmtree(root / "mp3")
    assert (run(tmp_path).root / "mp3" / "a.mp3").is_file()
    assert len(site.requests) == 2


def test_an_own_archive_is_used_and_stays(tmp_path, level, site, monkeypatch):
    content = pack(tmp_path, "toy.tgz", "mp3/a.mp3")
    level.REMOTES = {"audio": make_remote(site, "toy.tgz", content)}
    (tmp_path / "by_hand.tgz").write_bytes(content)
    set_sources(monkeypatch, {"archive": str(tmp_path / "by_hand.tgz")})
    assert (run(tmp_path / "data").root / "mp3" / "a.mp3").is_file()
    assert site.requests == []
    assert (tmp_path / "by_hand.tgz").read_bytes() == content
    assert not list((tmp_path / "data").rglob("*.tgz"))


def test_a_folder_of_archives_serves_by_name_parts_and_lists_too(tmp_path, level, site, monkeypatch):
    content = pack(tmp_path, "toy.tgz", "mp3/a.mp3")
    half = len(content) // 2
    parts = [make_remote(site, f"toy.tgz.00{i}", part) for i, part in enumerate((content[:half], content[half:]))]
    level.REMOTES = {
        "list": make_remote(site, "list.csv", b"a,b", unpack=False),
        "audio": make_remote(site, "toy.tgz", content, parts=tuple(parts)),
    }
    own = tmp_path / "own"
    own.mkdir()
    for name in ("toy.tgz.000", "list.csv"):
        (own / name).write_bytes(site.files[name])
    set_sources(monkeypatch, {"archive": str(own)})
    root = run(tmp_path / "data").root
    assert ((root / "mp3" / "a.mp3").is_file(), (root / "list.csv").read_bytes()) == (True, b"a,b")
    assert len(site.requests) == 1  # the part that is not there
    assert sorted(path.name for path in own.iterdir()) == ["list.csv", "toy.tgz.000"]


def test_an_own_archive_with_another_checksum_is_named_and_nothing_is_downloaded(tmp_path, level, site, monkeypatch):
    level.REMOTES = {"audio": make_remote(site, "toy.tgz", content := pack(tmp_path, "toy.tgz", "mp3/a.mp3"))}
    path = tmp_path / "toy.tgz"
    set_sources(monkeypatch, {"archive": str(path)})
    for wrong in (content[:-1], content[:-1] + b"?"):
        path.write_bytes(wrong)
        with pytest.raises(UserError, match=r"toy\.tgz: .*expected .*not the published toy\.tgz.*remove `archive`"):
            run(tmp_path / "data")
    path.unlink()
    with pytest.raises(UserError, match=r"toy\.tgz is not there: correct `archive`"):
        run(tmp_path / "data")
    assert site.requests == []


OWN_ARCHIVE = """
{scale: tiny, data: data, results: results, studies: [own_recordings], sources: {openmic: {archive: own.tgz}},
 datasets: {openmic: {loader: openmic, source: download}},
 trim: {own_recordings: {corpus: [openmic], dataset: [openmic], floors: [], checkpoints: [], comparisons: []}}}
"""


@pytest.mark.slow
def test_the_workflow_passes_sources_to_its_jobs(tmp_path):
    (tmp_path / "own.tgz").write_bytes(b"of another data set")
    (tmp_path / "mine.yaml").write_text(OWN_ARCHIVE)
    configs = [REPOSITORY / "config/config.yaml", REPOSITORY / "config/own_recordings.yaml", "mine.yaml"]
    command = [sys.executable, "-m", "snakemake", "--snakefile", REPOSITORY / "Snakefile", "--cores", "1"]
    target = ["data/openmic/acquired.json", "--configfile", *configs]
    done = subprocess.run([*command, *target], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    log = (tmp_path / "results/logs/acquire/openmic.log").read_text()
    assert re.fullmatch(r"prelude: own\.tgz: its md5 is \w+, expected \w+: .*remove `archive` of .*\n", log), log


def test_a_folder_without_the_archive_is_noted(tmp_path, level, site, monkeypatch, capsys):
    level.REMOTES = {"audio": make_remote(site, "toy.tgz", pack(tmp_path, "toy.tgz", "mp3/a.mp3"))}
    (tmp_path / "own").mkdir()
    set_sources(monkeypatch, {"archive": str(tmp_path / "own")})
    run(tmp_path / "data")
    assert "own holds no toy.tgz: it is downloaded" in capsys.readouterr().err


def test_a_mirror_is_asked_first_and_does_not_change_the_data(tmp_path, level, site, monkeypatch):
    content = pack(tmp_path, "toy.tgz", "mp3/a.mp3")
    level.REMOTES = {"audio": make_remote(site, "toy.tgz", content)}
    owner = run(tmp_path / "owner").digest
    for url in (f"{site.folder}/mirror/", f"{site.folder}/mirror/toy.tgz?download=true"):
        site.requests.clear()
        set_sources(monkeypatch, {"urls": [url]})
        shutil.rmtree(tmp_path / "data", ignore_errors=True)
        assert run(tmp_path / "data").digest == owner
        assert len(site.requests) == 1


def test_mirrors_are_asked_in_the_order_of_the_config(tmp_path, level, site, monkeypatch, capsys):
    level.REMOTES = {"audio": make_remote(site, "toy.tgz", pack(tmp_path, "toy.tgz", "mp3/a.mp3"))}
    site.files.clear()  # no address has the file
    urls = [f"{site.folder}/first/toy.tgz", f"{site.folder}/second/", f"{site.folder}/third/toy.tgz"]
    set_sources(monkeypatch, {"urls": urls})
    with pytest.raises(UserError, match="answered 404"):
        run(tmp_path / "data")
    assert re.findall(r"/(\w+)/toy\.tgz: the server", capsys.readouterr().err) == ["first", "second", "third"]


def test_archives_are_kept_where_the_config_says_so(tmp_path, level, site, monkeypatch):
    level.REMOTES = {"audio": make_remote(site, "toy.tgz", pack(tmp_path, "toy.tgz", "mp3/a.mp3"))}
    set_sources(monkeypatch, {"keep_archives": True})
    root = run(tmp_path).root
    assert (root / ".archives" / "toy.tgz").is_file()
    shutil.rmtree(root / "mp3")
    run(tmp_path)
    assert len(site.requests) == 1


def test_room_for_archive_and_contents_is_asked_for_before_the_first_byte(tmp_path, level, site, monkeypatch):
    content = pack(tmp_path, "toy.tgz", "mp3/a.mp3")
    level.REMOTES = {"audio": make_remote(site, "toy.tgz", content)}
    usage = types.SimpleNamespace(free=2 * len(content) - 1)
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    with pytest.raises(UserError, match="free some space"):
        run(tmp_path)
    assert site.requests == []
    own = tmp_path / "toy.tgz"
    own.write_bytes(content)
    set_sources(monkeypatch, {"archive": str(own)})  # takes no more room itself
    run(tmp_path)


def test_room_counts_parts_while_they_are_joined(tmp_path, level, site, monkeypatch):
    content = pack(tmp_path, "toy.tgz", "mp3/a.mp3")
    asked = []
    monkeypatch.setattr(shared_downloads, "require_space", lambda _, needed: asked.append(needed / len(content)))
    for parts in ((), (make_remote(site, "toy.tgz.001", content),)):
        level.REMOTES = {"audio": make_remote(site, "toy.tgz", content, parts=parts)}
        run(tmp_path / str(len(parts)))
    assert asked == [2, 3]


def test_what_killed_jobs_left_is_removed_and_what_others_write_is_not(tmp_path, level, site):
    level.REMOTES = {"audio": make_remote(site, "toy.tgz", pack(tmp_path, "toy.tgz", "mp3/a.mp3"))}
    archives = tmp_path / "downloads/toy/.archives"
    for name in ("toy.tgz.unpacked/mp3/half.mp3", ".toy.tgz.x1y2.partial.tgz", "other.tgz.unpacked/b.mp3"):
        (archives / name).parent.mkdir(parents=True, exist_ok=True)
        (archives / name).write_text("half")
    mp3s = run(tmp_path).root / "mp3"
    assert [path.name for path in mp3s.iterdir()] == ["a.mp3"]
    assert sorted(path.name for path in archives.iterdir()) == ["other.tgz.unpacked", "toy.tgz.json", "toy.tgz.lock"]


def test_what_a_killed_job_left_takes_no_room(tmp_path, level, site, monkeypatch):
    """As when unpacking ends with the time limit: the archive is there, and half of its contents beside it."""
    content = pack(tmp_path, "toy.tgz", "mp3/a.mp3")
    level.REMOTES = {"audio": make_remote(site, "toy.tgz", content)}
    archives = tmp_path / "downloads/toy/.archives"
    left = [archives / "toy.tgz.unpacked" / "half.mp3", archives / ".toy.tgz.x1y2.partial.tgz"]
    left[0].parent.mkdir(parents=True)
    for path in left:
        path.write_bytes(content)

    def measure(_: object) -> types.SimpleNamespace:
        return types.SimpleNamespace(free=2 * len(content) - sum(len(content) for path in left if path.exists()))

    monkeypatch.setattr("shutil.disk_usage", measure)
    assert (run(tmp_path).root / "mp3" / "a.mp3").is_file()


def test_a_file_that_another_job_fetches_is_waited_for(tmp_path, site, capsys):
    remote = make_remote(site, "toy.tgz", pack(tmp_path, "toy.tgz", "mp3/a.mp3"))
    root = tmp_path / "downloads" / "toy"
    (root / ".archives").mkdir(parents=True)
    with contextlib.ExitStack() as other:
        other.enter_context(hold_lock(root / ".archives" / "toy.tgz.lock", name="x"))

        def pause(_) -> None:
            shared_downloads._fetch(remote, root, keep=False, clips=None)
            other.close()

        fetch_files({"audio": remote}, root, settings=DownloadSettings(), clips=None, pause=pause)
    assert len(site.requests) == 1
    assert "toy.tgz in" in capsys.readouterr().err
