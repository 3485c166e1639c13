"""What an engine fills: a small wire schema of sentence numbers, enums and numbers, one model per prompt.

No text is copied and nothing is optional: structured-output servers compile such a schema in milliseconds, while
`maxLength` or `pattern` on a string costs seconds. What each field may hold stands in `labeling.vocabulary`.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Annotated, Any, Self, get_type_hints

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    create_model,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from labeling.runtime.wire import bare_schema
from labeling.vocabulary import (
    ALL_SUBTYPES,
    ALL_TIPS,
    DEVICES,
    LABELS,
    NO_FINDING_LABEL,
    Advice,
    Assertion,
    Comparison,
    Direction,
    Landmark,
    LineTubeType,
    Placement,
    Pleural,
    Severity,
    Side,
    StatedPosition,
    Status,
)

WIRE_VERSION = "1"
MAX_DISTANCE_CM = 40.0
# A weak model counts sentences or repeats entries until its tokens run out; a bounded array makes it close its JSON.
MAX_SENTENCES, MAX_LINES_AND_TUBES, MAX_FINDINGS = 32, 32, 128
SentenceNumber = Annotated[int, Field(ge=1)]
SentenceNumbers = Annotated[tuple[SentenceNumber, ...], Field(min_length=1, max_length=MAX_SENTENCES)]


class _OneOf:
    """Marks a string of a closed list: an enum in the JSON Schema, and an error that names the value and the list."""

    def __init__(self, *allowed: str) -> None:
        self._allowed = allowed

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(schema) | {"enum": list(self._allowed)}

    def _check(self, value: str) -> str:
        if value not in self._allowed:
            raise ValueError(f"{value!r} is not one of {', '.join(self._allowed)}")
        return value


class _Wire(BaseModel):
    # strict: "3" is no number and 3 no side; a misspelt key is an error
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class LineTubeFacts(_Wire):
    """One line or tube as the current report describes it.

    sentences: numbers of the sentences that describe it; at least one must name it.
    tip_distance_cm: centimetres from `tip_landmark` in `tip_direction`; null when not said.
    pleural, pleural_sentences: chest tubes only; "none" and empty for every other type.
    placement: the engine's own opinion, kept beside the table's decision; null when it has none.
    """

    type: LineTubeType
    sentences: SentenceNumbers
    side: Side
    status: Status
    subtype: Annotated[str, _OneOf(*ALL_SUBTYPES)]
    tip: Annotated[str, _OneOf(*ALL_TIPS)]
    tip_distance_cm: Annotated[float, Field(ge=0, le=MAX_DISTANCE_CM)] | None
    tip_landmark: Landmark | None
    tip_direction: Direction | None
    stated: StatedPosition
    advice: Advice
    pleural: Pleural
    pleural_sentences: Annotated[tuple[SentenceNumber, ...], Field(max_length=MAX_SENTENCES)]
    placement: Placement | None

    @model_validator(mode="after")
    def _check(self) -> Self:
        device = DEVICES[self.type]
        for name, value, allowed in (
            ("side", self.side, device.sides),
            ("tip", self.tip, device.tips),
            ("subtype", self.subtype, device.subtypes),
        ):
            if value not in allowed:
                raise ValueError(f"{self.type}: {name} {str(value)!r} is not one of {', '.join(allowed)}")
        distance, landmark = self.tip_distance_cm, self.tip_landmark
        if distance is not None and landmark is None:
            raise ValueError(f"{self.type}: tip_distance_cm {distance} needs a tip_landmark to be measured from")
        if self.tip_direction is not None and landmark is None:
            raise ValueError(f"{self.type}: tip_direction {self.tip_direction} needs a tip_landmark")
        if (self.pleural is Pleural.NONE) == bool(self.pleural_sentences):
            raise ValueError(
                f"{self.type}: pleural {self.pleural!s} with pleural_sentences {list(self.pleural_sentences)}: "
                "give sentences exactly when pleural is not none"
            )
        if self.pleural is not Pleural.NONE and self.type is not LineTubeType.CHEST_TUBE:
            raise ValueError(f"{self.type}: pleural is for chest tubes; use none")
        return self


class FindingFacts(_Wire):
    """One finding as the current report states, denies or hedges it.

    no_finding stands for normal anatomy ("The lungs are clear") and is always positive.
    """

    label: Annotated[str, _OneOf(*LABELS)]
    sentences: SentenceNumbers
    assertion: Assertion
    side: Side
    severity: Severity
    comparison: Comparison

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.label == NO_FINDING_LABEL and self.assertion is not Assertion.POSITIVE:
            raise ValueError(f"no_finding: assertion {self.assertion} is not positive; label the abnormality instead")
        if self.comparison is Comparison.RESOLVED and self.assertion is not Assertion.NEGATIVE:
            raise ValueError(f"{self.label}: what has resolved is negative, got {self.assertion}")
        return self


class FindingAnswer(_Wire):
    findings: Annotated[tuple[FindingFacts, ...], Field(max_length=MAX_FINDINGS)]


class LineTubeAnswer(_Wire):
    lines_and_tubes: Annotated[tuple[LineTubeFacts, ...], Field(max_length=MAX_LINES_AND_TUBES)]


Answer = FindingAnswer | LineTubeAnswer


@cache
def answer_model(prompt_name: str) -> type[BaseModel]:
    """The wire model of a prompt: `findings`, `lines_and_tubes`, or one line-and-tube type.

    A prompt for one type asks only what that type can say, with its own sides, tips and subtypes; `read_answer` fills
    in the rest.
    """
    if prompt_name == "findings":
        return FindingAnswer
    if prompt_name == "lines_and_tubes":
        return LineTubeAnswer
    device = DEVICES[LineTubeType(prompt_name)]
    own = {"type": (prompt_name,), "side": device.sides, "tip": device.tips, "subtype": device.subtypes}
    left_out = {"model_config"}
    if len(device.subtypes) == 1:
        left_out.add("subtype")
    if prompt_name != LineTubeType.CHEST_TUBE:
        left_out |= {"pleural", "pleural_sentences"}
    fields: dict[str, Any] = {
        name: (Annotated[str, _OneOf(*own[name])] if name in own else annotation, Field())
        for name, annotation in get_type_hints(LineTubeFacts, include_extras=True).items()
        if name not in left_out
    }
    entry = create_model("LineTubeFacts", __base__=_Wire, **fields)
    entries: Any = tuple[entry, ...]
    return create_model(
        "LineTubeAnswer", __base__=_Wire, lines_and_tubes=(entries, Field(max_length=MAX_LINES_AND_TUBES))
    )


_FILLED: dict[str, Any] = {"subtype": "standard", "pleural": "none", "pleural_sentences": []}


def read_answer(prompt_name: str, text: str) -> Answer:
    """Validate an engine's JSON and give it in the common shape.

    Raises:
        pydantic.ValidationError: naming each field, its value and what is allowed.
    """
    if prompt_name == "findings":
        return FindingAnswer.model_validate_json(text)
    if prompt_name == "lines_and_tubes":
        return LineTubeAnswer.model_validate_json(text)
    narrow = answer_model(prompt_name).model_validate_json(text).model_dump(mode="json")
    entries = [_FILLED | entry for entry in narrow["lines_and_tubes"]]
    return LineTubeAnswer.model_validate_json(json.dumps({"lines_and_tubes": entries}))


@cache
def wire_schema(prompt_name: str) -> dict[str, Any]:
    """The JSON Schema a server is asked to follow: all properties required, no others allowed. Do not change it."""
    return bare_schema(answer_model(prompt_name))
