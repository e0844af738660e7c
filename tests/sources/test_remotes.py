import pytest

from workflow_scripts.levels import dataset_facts, registry
from workflow_scripts.sources.remotes import Remote


def test_the_name_comes_from_the_address():
    assert Remote(url="https://host/a/b%20c.zip?x=1").name == "b c.zip"
    assert Remote(url="https://host/a/b.zip", name="own.zip").name == "own.zip"


@pytest.mark.parametrize(
    "arguments",
    [
        {"url": "https://host/"},
        {"url": "https://host/a", "name": "../a"},
        {"url": "https://host/a", "checksum": "00"},
        {"url": "https://host/a", "destination": "/tmp"},
        {"url": "https://host/a", "destination": "x/../../y"},
    ],
)
def test_impossible_remotes_are_refused(arguments):
    with pytest.raises(AssertionError):
        Remote(**arguments)


@pytest.mark.parametrize("name", registry.names("dataset"))
def test_every_file_of_a_data_set_has_a_form_that_no_message_of_a_server_has(name):
    level = registry.load("dataset", name)
    for remote in dataset_facts.remotes(level, registry.options(level, {})).values():
        assert remote.unpack or remote.checksum or remote.begins
