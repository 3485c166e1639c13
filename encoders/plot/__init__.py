"""What an encoder sees and what it holds alike, drawn: contact sheet, colours of patches, similarity of patches."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from encoders.contract import Encoder
    from studies.images import Film


def write_plots(
    folder: Path, encoder: Encoder, films: Sequence[tuple[str, Film]], *, layers: Sequence[int] | None = None
) -> list[Path]:
    """Draw the films as this encoder takes them into `folder/plots`; files of the same names are overwritten.

    Args:
        films: a name for each film (only its last part, the file's name, is shown), and the film.
        layers: which layers the maps show; four at even distances that end at the last, by default.

    Returns:
        contact_sheet.png (the inputs), pca.png (patch features as colours), similarity.html (click a patch: cosine
        maps; holds the films that fit in 40 MB) and similarity.png (the same of the first film's middle patch).

    Raises:
        ValueError: no film, a layer the encoder does not have, layers too many for the page, an encoder in training.
    """
    from encoders.plot.contact_sheet import write_contact_sheet
    from encoders.plot.pca_maps import write_pca_maps
    from encoders.plot.shown import show_films
    from encoders.plot.similarity import films_that_fit, write_similarity_page, write_similarity_picture

    shown = show_films(encoder, films, layers)
    films_that_fit(shown)  # says so before anything is drawn
    plots = folder / "plots"
    plots.mkdir(parents=True, exist_ok=True)
    paths = [plots / name for name in ("contact_sheet.png", "pca.png", "similarity.html", "similarity.png")]
    name = encoder.spec.title + (" (random weights: its features mean nothing)" if _is_twin(encoder) else "")
    write_contact_sheet(paths[0], shown, encoder.recipe, title=f"Inputs of {name}")
    write_pca_maps(paths[1], shown, title=f"Patch features of {name}")
    write_similarity_page(paths[2], shown, title=f"Patch similarity in {name}")
    write_similarity_picture(paths[3], shown[0], title=f"Patch similarity in {name}")
    return paths


def _is_twin(encoder: Encoder) -> bool:
    from encoders.fingerprint import Kind, Origin

    origin = vars(encoder).get("origin")
    return isinstance(origin, Origin) and origin.kind is Kind.TWIN
