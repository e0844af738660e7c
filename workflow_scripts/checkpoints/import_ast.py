"""Published checkpoints of the AST code. Apart from the others, since timm, which builds them, is slow to import."""

from __future__ import annotations

from dataclasses import replace

from workflow_scripts.checkpoints.published import Published, explained, load_exactly
from workflow_scripts.networks import audio_spectrogram_transformer

UNUSED = ("v.head.", "v.head_dist.")  # heads for ImageNet that the files carry along


def ast_network(published: Published) -> audio_spectrogram_transformer.Ast:
    """Build the AST on windows of 384 frames with the published weights, in evaluation mode.

    Raises `UserError` if the file holds something else, only a part, or a network for another grid of patches.
    """
    with explained(published.path, "imported as an AST"):
        used = {key: value for key, value in published.state.items() if not key.startswith(UNUSED)}
        published = replace(published, state=used)
        network = audio_spectrogram_transformer.network_of(published.shapes)
        load_exactly(network, published)
    return network.eval()
