"""The report generator's processor: saved with a model, found by transformers' AutoProcessor."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Self

from encoders.preprocessing.intensity import Levels
from encoders.preprocessing.recipe import Recipe
from encoders.torchvision_shim import import_torchvision
from llava.dataset.example import Example
from llava.model import CxrLlavaConfig
from llava.text.chat_frame import Chat, ChatFrame, chat_frame
from llava.text.study_tokens import IMAGE_TOKEN, PromptIds, StudyTokens
from prompts.report_prompt import ReportPrompt, load_report_prompt
from studies.records import GenerationStudy

import_torchvision()  # transformers imports it with its processors
from transformers import AutoProcessor, AutoTokenizer, ProcessorMixin  # noqa: E402

PAD_TOKEN = "<pad>"
_ANSWER_TOKENS = 300  # new tokens of MAIRA-2's examples (model card); most findings are half as long
_PROCESSOR_FILE, _PROMPT_FILE = "processor_config.json", "prompt.json"


class CxrLlavaProcessor(ProcessorMixin):
    """Makes examples for one model, and keeps with it how.

    Args:
        tokenizer: the language model's, with `<image>` among its tokens (`add_tokens`).
        recipe: the encoder's preprocessing, which the films' levels were made with.
        num_image_tokens: of one film, from the encoder's contract.
        prompt_id: a name or an id in `prompts/generation`, such as "findings.v1".
        chat: how turns are written (`llava.text.chat_frame`); frame: the one saved with the model, else made anew.
        max_tokens: the context.
        answer_tokens: that every prompt leaves for its answer, by default 300 or an eighth of the context.

    Raises:
        ValueError: no such prompt, a tokenizer without `<image>` or whose template does not fit, or numbers that
            leave no room for a prompt.
    """

    def __init__(
        self,
        tokenizer: Any,
        recipe: Recipe,
        num_image_tokens: int,
        prompt_id: str,
        chat: Chat,
        max_tokens: int,
        *,
        answer_tokens: int | None = None,
        frame: ChatFrame | None = None,
    ) -> None:
        super().__init__(tokenizer)  # type: ignore[no-untyped-call]
        self.chat: Chat = chat
        self.study_tokens = StudyTokens(
            tokenizer,
            recipe,
            load_report_prompt(prompt_id),
            frame or chat_frame(tokenizer, chat),
            num_image_tokens=num_image_tokens,
            max_tokens=max_tokens,
            answer_tokens=min(_ANSWER_TOKENS, max_tokens // 8) if answer_tokens is None else answer_tokens,
        )

    @property
    def recipe(self) -> Recipe:
        return self.study_tokens.recipe

    @property
    def num_image_tokens(self) -> int:
        return self.study_tokens.num_image_tokens

    @property
    def max_tokens(self) -> int:
        return self.study_tokens.max_tokens

    @property
    def answer_tokens(self) -> int:
        return self.study_tokens.answer_tokens

    @property
    def frame(self) -> ChatFrame:
        return self.study_tokens.frame

    @property
    def prompt(self) -> ReportPrompt:
        return self.study_tokens.prompt

    @property
    def prompt_id(self) -> str:
        return self.prompt.id

    @property
    def image_token_id(self) -> int:
        return self.study_tokens.image_token_id

    @property
    def end_token_id(self) -> int:
        return self.study_tokens.end_token_id

    @property
    def pad_token_id(self) -> int:
        """What fills a batch's shorter rows; the end token where the tokenizer has no padding of its own."""
        pad = self.tokenizer.pad_token_id
        return self.end_token_id if pad is None else int(pad)

    def example(self, study: GenerationStudy, images: Sequence[Levels], *, with_target: bool) -> Example:
        """`StudyTokens.example`."""
        return self.study_tokens.example(study, images, with_target=with_target)

    def prompt_ids(self, study: GenerationStudy, *, answer_tokens: int | None = None) -> PromptIds:
        """`StudyTokens.prompt_ids`."""
        return self.study_tokens.prompt_ids(study, answer_tokens=answer_tokens)

    def decode(self, ids: Iterable[int]) -> str:
        """`StudyTokens.decode`."""
        return self.study_tokens.decode(ids)

    def to_dict(self) -> dict[str, Any]:
        """What processor_config.json holds."""
        return {
            "processor_class": type(self).__name__,
            "num_image_tokens": self.num_image_tokens,
            "max_tokens": self.max_tokens,
            "answer_tokens": self.answer_tokens,
            "image_token": IMAGE_TOKEN,
            "recipe": self.recipe.model_dump(mode="json"),
        }

    def save_pretrained(self, save_directory: str | Path) -> list[str]:  # type: ignore[override]
        """Write the tokenizer's files, processor_config.json and prompt.json; gives the paths of the last two."""
        folder = Path(save_directory)
        folder.mkdir(parents=True, exist_ok=True)
        self.tokenizer.save_pretrained(folder)
        prompt = {"id": self.prompt.id, "sha256": self.prompt.sha256, "chat": self.chat, "frame": self.frame._asdict()}
        for name, value in ((_PROCESSOR_FILE, self.to_dict()), (_PROMPT_FILE, prompt)):
            (folder / name).write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        return [str(folder / name) for name in (_PROCESSOR_FILE, _PROMPT_FILE)]

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, **_: Any) -> Self:  # type: ignore[override]
        """Read what `save_pretrained` wrote; the other arguments that AutoProcessor passes are of hubs.

        Raises:
            ValueError: a file that is missing or damaged, or a prompt that has changed since.
        """
        folder = Path(pretrained_model_name_or_path)
        try:
            config = json.loads((folder / _PROCESSOR_FILE).read_text(encoding="utf-8"))
            saved = json.loads((folder / _PROMPT_FILE).read_text(encoding="utf-8"))
            recipe = Recipe.model_validate(config["recipe"])
            frame = ChatFrame(**saved["frame"])
            numbers = {name: int(config[name]) for name in ("num_image_tokens", "max_tokens", "answer_tokens")}
            identity, sha256, chat = saved["id"], saved["sha256"], saved["chat"]
        except OSError as error:
            raise ValueError(f"{folder}: {Path(error.filename or folder).name}: {error.strerror}") from None
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{folder}: {_PROCESSOR_FILE} or {_PROMPT_FILE} is damaged: {error}") from None
        prompt = load_report_prompt(identity)
        if prompt.sha256 != sha256:
            raise ValueError(
                f"{folder} was trained with prompt {identity} of sha256 {sha256[:12]}; the one here is "
                f"{prompt.sha256[:12]}: a released prompt was changed"
            )
        tokenizer = AutoTokenizer.from_pretrained(folder)
        return cls(tokenizer, recipe, prompt_id=identity, chat=chat, frame=frame, **numbers)


def add_tokens(tokenizer: Any) -> int:
    """Add `<image>` and, where there is no padding, `<pad>`; gives how many are new: so many embeddings are needed."""
    before = len(tokenizer)
    if IMAGE_TOKEN not in tokenizer.get_vocab():
        tokenizer.add_tokens([IMAGE_TOKEN], special_tokens=True)
    if tokenizer.pad_token is None:
        tokenizer.add_special_tokens({"pad_token": PAD_TOKEN})
    return len(tokenizer) - before


AutoProcessor.register(CxrLlavaConfig, CxrLlavaProcessor)  # type: ignore[no-untyped-call]
