"""What all questions to a language model share: the schema as it goes out, and what is wrong with an answer."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ValidationError

from labeling.runtime.engine import InvalidAnswer

NOT_JSON, BREAKS_SCHEMA = "is not JSON", "breaks the schema"  # kinds of invalid answers
_PROBLEMS_SHOWN = 5


def bare_schema(model: type[BaseModel]) -> dict[str, Any]:
    """A model's JSON Schema without titles and descriptions: some servers count them as prompt tokens, and the prompt
    explains the fields."""
    schema: dict[str, Any] = _bare(model.model_json_schema())
    return schema


def invalid(error: ValidationError) -> InvalidAnswer:
    """The fault of an answer that its model refused, each field with its value and what is allowed."""
    problems = []
    found = error.errors(include_url=False, include_context=False)
    for one in found[:_PROBLEMS_SHOWN]:
        where = ".".join(str(part) for part in one["loc"]) or "answer"
        value = one["input"] if isinstance(one["input"], str | int | float | bool | None) else None
        shown = f", got {value!r}"[:80] if value is not None and repr(value) not in one["msg"] else ""
        problems.append(f"{where}: {one['msg'].removeprefix('Value error, ')}{shown}")
    is_json = all(one["type"] != "json_invalid" for one in found)
    return InvalidAnswer("; ".join(problems), kind=BREAKS_SCHEMA if is_json else NOT_JSON)


def _bare(node: Any) -> Any:
    if isinstance(node, list):
        return [_bare(one) for one in node]
    if not isinstance(node, dict):
        return node
    return {name: _bare(value) for name, value in node.items() if name not in {"title", "description"}}
