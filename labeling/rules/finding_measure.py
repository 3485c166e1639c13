"""Reads how large a finding is and was: times of a size, volumes, centimetres."""

from __future__ import annotations

from labeling.rules.assertion import Kind
from labeling.rules.finding_fracture import FractureReader

_DEGREES = frozenset(
    "slight slightly mild mildly minimal minimally moderately marked markedly considerable substantial".split()
)
_OF_VOLUME = frozenset({"hyperinflation", "low_lung_volume"})
VOLUMES = {"large": "severe", "small": "mild"}
_FILLS_THE_PLEURA = frozenset({"pleural_effusion", "pneumothorax"})
_OF_A_DISTANCE = frozenset({"from", "above", "below"})
_LARGE_AIR_CM = 2.0
_LIMITS = ("greater than", "more than", "larger than", "bigger than", "at least", ">", "> =")


class SizeReader(FractureReader):
    """Reads sizes."""

    def is_size_of_what_follows(self, labels: tuple[str, ...]) -> bool:
        """Whether "volume" is that of fluid or air: "large-volume effusion", "small volume of pleural fluid"."""
        phrase = self.phrases[self.at]
        if not _OF_VOLUME.intersection(labels) or self.words[phrase.start] not in VOLUMES:
            return False
        if phrase.end - phrase.start != 2 or not self.finding_follows(self.at):
            return False
        noun = next(later for later in self.phrases[self.at + 1 :] if later.value.kind is Kind.FINDING)
        return noun.value.value in _FILLS_THE_PLEURA

    def measure_air(self) -> None:
        """Call a pneumothorax large if it is said to be of 2 cm or more: "pneumothorax greater than 2 cm".

        The limit is that of the British Thoracic Society (MacDuff et al., Thorax 2010;65 Suppl 2:ii18), taken only
        where the report itself sets the size against it.
        """
        words, start, end = self.words, self.phrases[self.at].start, self.phrases[self.at].end
        at = start - 1
        if at < 1 or not words[at][0].isdigit() or float(words[at]) < _LARGE_AIR_CM:
            return
        limit = " ".join(words[max(at - 2, 0) : at])
        if not limit.endswith(_LIMITS) or not _OF_A_DISTANCE.isdisjoint(words[end : end + 1]):
            return
        following = [phrase.value.value for phrase in self.phrases[self.at + 1 : self.at + 3]]
        before = self.after and self.list and "pneumothorax" in self.list[-1].labels
        if before or ("pneumothorax" in following and "," not in words[end:]):
            self.modify("severe", Kind.SEVERITY)

    def tells_a_change(self) -> bool:
        """Whether "from small" tells the size of the film before, not what explains another finding."""
        return not self.finding_follows(self.at) or self.is_followed_by("to")

    def timed(self, size: str) -> str:
        """The size with the time at which it was: "from" and "to" tell one only where a change is told."""
        time, _, severity = size.rpartition(" ")
        if time == "from":
            return f"before {severity}" if self.tells_a_change() else severity
        if time == "to":
            before = self.phrases[self.at - 1].value if self.at else None
            is_range = (
                before is not None and before.kind is Kind.SEVERITY and not before.value.startswith(("from ", "to "))
            )
            return severity if is_range else f"now {severity}"
        if time and time != "before" and self.anatomy_follows(self.at):
            return severity
        return size

    def is_followed_by(self, time: str) -> bool:
        """Whether a size of this time stands right behind this phrase."""
        following = self.phrases[self.at + 1].value if self.at + 1 < len(self.phrases) else None
        return following is not None and following.kind is Kind.SEVERITY and following.value.startswith(f"{time} ")

    def says_how_much_it_changed(self) -> bool:
        """Whether the degree belongs to a change: "slightly improved", "mild interval worsening"."""
        phrase = self.phrases[self.at]
        if self.at + 1 == len(self.phrases) or self.words[phrase.end - 1] not in _DEGREES:
            return False
        following = self.phrases[self.at + 1]
        if self.words[following.start] == "enlargement" and not self.is_growth(self.at + 1):
            return False  # "marked enlargement of both hila"
        if following.value.kind is Kind.QUALITY and (self.anatomies or self.anatomy_follows(self.at + 1)):
            return False  # "mildly increased vascular markings", "heart size is mildly increased"
        return following.start == phrase.end and bool({"worse", "improved"}.intersection(following.value[1:]))
