"""What stands around a prompt's turns: Vicuna's own words, or those of the tokenizer's chat template.

A frame is made once, with stand-ins for the system sentence, the user's turn and the answer, so that no text of a
patient is ever put through a template.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

from llava.text.text_ids import special_tokens

Chat = Literal["vicuna", "tokenizer"]
_STAND_INS = ("QzSystemQz", "QzUserQz", "QzAnswerQz")  # letters only: no template escapes or trims them


class ChatFrame(NamedTuple):
    """before_system + system + before_user + user + before_answer is the prompt; then answer_lead + answer + end_token.

    answer_lead: white space that a tokenizer needs before the answer to write it as it would in running text; "" where
    the tokenizer puts a space before every text by itself (SentencePiece).
    """

    before_system: str
    before_user: str
    before_answer: str
    answer_lead: str
    end_token: str


def chat_frame(tokenizer: Any, chat: Chat) -> ChatFrame:
    """The frame of a tokenizer's conversations.

    "vicuna": SYSTEM USER: ... ASSISTANT: ...</s>, as FastChat's conversation template vicuna_v1.1 (separators " " and
    the end token).

    Raises:
        ValueError: the tokenizer has no end token, or its template cannot carry a system sentence, a user's turn and
            an answer that ends in a special token, each once and as given.
    """
    if chat == "vicuna":
        if tokenizer.eos_token is None:
            raise ValueError('chat "vicuna" ends answers with the tokenizer\'s end token, and this one has none')
        frame = ChatFrame("", " USER: ", " ASSISTANT:", " ", tokenizer.eos_token)
    else:
        frame = _of_template(tokenizer)
    return frame._replace(answer_lead=_lead(tokenizer, frame))


def _of_template(tokenizer: Any) -> ChatFrame:
    system, user, answer = _STAND_INS
    turns = [{"role": "system", "content": system}, {"role": "user", "content": user}]
    try:
        prompt = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        whole = tokenizer.apply_chat_template([*turns, {"role": "assistant", "content": answer}], tokenize=False)
    except Exception as error:  # ValueError without a template; whatever a template raises, jinja2.TemplateError mostly
        raise ValueError(f'chat "tokenizer": its chat template fails ({error}); use chat = "vicuna"') from None
    counts = [whole.count(stand_in) for stand_in in _STAND_INS]
    if counts != [1, 1, 1] or [prompt.count(stand_in) for stand_in in _STAND_INS] != [1, 1, 0]:
        raise ValueError(
            'chat "tokenizer": its chat template does not show system, user and assistant once each '
            f'(it shows them {", ".join(map(str, counts))} times); use chat = "vicuna"'
        )
    before_system, rest = whole.split(system)
    before_user, rest = rest.split(user)
    before_answer, after = rest.split(answer)
    opened = prompt.split(user)[1]
    if not before_answer.startswith(opened.rstrip(" ")):
        raise ValueError(
            f'chat "tokenizer": its chat template opens an answer with {opened!r}, and a finished one with '
            f'{before_answer!r}; use chat = "vicuna"'
        )
    end = next((token for token in special_tokens(tokenizer) if after.lstrip().startswith(token)), None)
    if end is None:
        raise ValueError(
            f'chat "tokenizer": its chat template ends an answer with {after!r}, no special token; use chat = "vicuna"'
        )
    kept = before_answer.rstrip(" ")
    return ChatFrame(before_system, before_user, kept, before_answer[len(kept) :], end)


def _lead(tokenizer: Any, frame: ChatFrame) -> str:
    """The lead with which an answer encoded apart has the tokens that it has in running text."""

    def ids(text: str) -> list[int]:
        found: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
        return found

    word, before = "Heart", frame.before_answer
    wanted = ids(before + frame.answer_lead + word)
    for lead in (frame.answer_lead, ""):
        if ids(before) + ids(lead + word) == wanted:
            return lead
    return frame.answer_lead
