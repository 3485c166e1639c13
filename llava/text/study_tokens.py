"""A study's texts and films into the tokens a report generator reads, and its answer back into text.

Token ids are joined from segments that are encoded apart, so that which tokens are supervised, and where the films
stand, is known by construction; no text is ever searched. Training and generation share the code of the prompt.
Reading processes need this module and not `llava.processor`, whose base class takes seconds to import.

Shape letters: T tokens, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from encoders.preprocessing.intensity import Levels
from encoders.preprocessing.recipe import Recipe
from llava.dataset.example import BadStudy, BadStudyError, Example
from llava.text.chat_frame import ChatFrame
from llava.text.text_ids import TextIds, split_at_tokens
from prompts.report_prompt import FIELDS, FILMS, ImageSlot, ReportPrompt, Text
from studies.records import GenerationStudy

IMAGE_TOKEN = "<image>"


class PromptIds(NamedTuple):
    """input_ids_T: begin token, frame, prompt, films' placeholders; cut_tokens: of the prior report, left out."""

    input_ids_T: NDArray[np.int64]
    cut_tokens: int


class StudyTokens:
    """Makes examples for one model; the arguments are those of `llava.processor.CxrLlavaProcessor`.

    Raises:
        ValueError: a tokenizer without `<image>`, or numbers that leave no room for a prompt.
    """

    def __init__(
        self,
        tokenizer: Any,
        recipe: Recipe,
        prompt: ReportPrompt,
        frame: ChatFrame,
        *,
        num_image_tokens: int,
        max_tokens: int,
        answer_tokens: int,
    ) -> None:
        if num_image_tokens < 1 or answer_tokens < 0 or num_image_tokens + answer_tokens >= max_tokens:
            raise ValueError(
                f"max_tokens {max_tokens} leaves no room for a prompt beside one film of {num_image_tokens} tokens and "
                f"an answer of {answer_tokens}"
            )
        if IMAGE_TOKEN not in tokenizer.get_vocab():
            raise ValueError(f"the tokenizer has no {IMAGE_TOKEN} token; call llava.processor.add_tokens first")
        self.tokenizer = tokenizer
        self.recipe = recipe
        self.prompt = prompt
        self.frame = frame
        self.num_image_tokens = num_image_tokens
        self.max_tokens = max_tokens
        self.answer_tokens = answer_tokens
        self.image_token_id: int = tokenizer.convert_tokens_to_ids(IMAGE_TOKEN)
        self.end_token_id: int = tokenizer.convert_tokens_to_ids(frame.end_token)
        self._head = split_at_tokens(tokenizer, frame.before_system + prompt.system + frame.before_user)
        self._tail = split_at_tokens(tokenizer, frame.before_answer)
        framing = [piece for piece in (*self._head, *self._tail) if isinstance(piece, int)]
        self._text_ids = TextIds(tokenizer, {*framing, self.image_token_id, self.end_token_id})

    def example(self, study: GenerationStudy, images: Sequence[Levels], *, with_target: bool) -> Example:
        """The tokens of a study, and its films as they were given.

        Args:
            images: levels of the films that the study has, in the order of `FILMS`, each H,W of the recipe's size.
            with_target: append the findings and the end token, supervised. White space in them becomes single spaces.

        Raises:
            BadStudyError: no current film, another number or size of films, no findings to learn from, or too long a
                study even without its prior report.
        """
        shown = films_of(study)
        if not {"frontal", "lateral"} & set(shown):
            raise _bad(study, "NoFilmError", "it has no current film; give a frontal or a lateral one")
        side = self.recipe.resize.size_px
        shapes = [image.shape for image in images]
        if shapes != [(side, side)] * len(shown):
            raise _bad(study, "FilmShapeError", f"its films ({', '.join(shown)}) came as {shapes}, not {side} x {side}")
        target_T: list[int] = []
        if with_target:
            text = _folded(study.findings)
            if not text:
                raise _bad(study, "NoFindingsError", "its findings are missing or blank: nothing to learn from")
            target_T = [*self._text_ids.encode(self.frame.answer_lead + text), self.end_token_id]
        prompt = self.prompt_ids(study, answer_tokens=max(self.answer_tokens, len(target_T)))
        least = len(target_T) if with_target else self.answer_tokens
        num_tokens = len(prompt.input_ids_T)
        if num_tokens + least > self.max_tokens:
            raise _bad(
                study,
                "TooLongError",
                f"its prompt has {num_tokens} tokens without a prior report, {len(shown)} x {self.num_image_tokens} of "
                f"them the films', and its answer {least}; the context has {self.max_tokens}",
            )
        input_ids_T = np.concatenate([prompt.input_ids_T, np.asarray(target_T, np.int64)])
        supervised_T = np.arange(len(input_ids_T)) >= num_tokens
        return Example(study.study_id, input_ids_T, supervised_T, tuple(images), prompt.cut_tokens)

    def prompt_ids(self, study: GenerationStudy, *, answer_tokens: int | None = None) -> PromptIds:
        """The prompt of a study, whose prior report loses its beginning where it would leave fewer than answer_tokens.

        A report begins with what was asked and how the film was taken; findings and impression, which the current film
        is compared with, come last. Everything else stays whole, so the prompt may still be too long.
        """
        room = self.max_tokens - (self.answer_tokens if answer_tokens is None else answer_tokens)
        films = films_of(study)
        texts = {field: folded for field in FIELDS if (folded := _folded(getattr(study, field)))}
        if "prior_frontal" not in films:
            texts.pop("prior_report", None)  # no prompt shows it, so there is nothing to cut
        whole_T = ids_T = self._joined(films, texts)
        prior, drop = texts.get("prior_report", ""), 0
        while len(ids_T) > room and "prior_report" in texts:
            drop += len(ids_T) - room
            texts["prior_report"] = self._text_ids.without_beginning(prior, drop)
            if not texts["prior_report"]:
                del texts["prior_report"]
            ids_T = self._joined(films, texts)
        return PromptIds(ids_T, len(whole_T) - len(ids_T))

    def decode(self, ids: Iterable[int]) -> str:
        """The text of generated tokens: no special ones, no white space at its ends."""
        return self._text_ids.decode(ids)

    def _joined(self, films: Sequence[str], texts: dict[str, str]) -> NDArray[np.int64]:
        """Begin token, frame and user's turn. Neighbouring texts are encoded as one, as in running text."""
        bos = self.tokenizer.bos_token_id
        ids: list[int] = [] if bos is None else [bos]
        text = ""
        for piece in self._pieces(films, texts):
            if isinstance(piece, str):
                text += piece
                continue
            ids += self._text_ids.encode(text)
            text = ""
            if isinstance(piece, ImageSlot):
                ids += [self.image_token_id] * self.num_image_tokens
            elif not (piece == bos and ids == [bos]):  # a template may bring its own
                ids.append(piece)
        return np.asarray(ids + self._text_ids.encode(text), np.int64)

    def _pieces(self, films: Sequence[str], texts: dict[str, str]) -> Iterator[str | int | ImageSlot]:
        yield from self._head
        for part in self.prompt.user_turn({*films, *texts}):
            if isinstance(part, ImageSlot):
                yield part
            else:
                yield part.text if isinstance(part, Text) else texts[part.field]
        yield from self._tail


def films_of(study: GenerationStudy) -> list[str]:
    """Those of `FILMS` that a study has."""
    return [film for film in FILMS if (getattr(study, film) or "").strip()]


def _folded(text: str | None) -> str:
    """White space becomes single spaces: no line of a text can then pass for a line of the prompt."""
    return " ".join((text or "").split())


def _bad(study: GenerationStudy, error: str, message: str) -> BadStudyError:
    return BadStudyError(BadStudy(study.study_id, error, message))
