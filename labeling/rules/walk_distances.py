"""Distances met on the walk: a number, its unit, a direction and a landmark."""

from __future__ import annotations

from labeling.rules.device_mention import Distance, Mention
from labeling.rules.device_nodes import Item, Phrase
from labeling.rules.tip_tables import LANDMARKS
from labeling.rules.tips import Spot, measured_from
from labeling.rules.walk_places import WalkPlaces
from labeling.rules.walk_words import AIRWAY, number_in
from labeling.vocabulary import LineTubeType as T


class WalkDistances(WalkPlaces):
    """Reads distances."""

    def on_direction(self, index: int, item: Item) -> None:
        """ "ETT 3.2 above carina": in a chest, a bare number means centimetres."""
        number = number_in(self.words[item.start - 1]) if item.start and item.value != "from" else None
        if number is None or not self.words[item.start - 1][0].isdigit() or not 0.3 <= number <= 15:
            return
        if self.target or self.muted or self.past or index + 1 >= len(self.nodes):
            return
        following = self.nodes[index + 1]
        if (
            isinstance(following, Item)
            and following.kind == "place"
            and following.value in ("carina", "caj", "gej", "arch")
        ):
            self.used.add(index + 1)
            self._measure(number, following.value, item.value)

    def on_unit(self, index: int, item: Item) -> None:
        span = self._number(item.start)
        if span is None:
            return
        number, first = span
        cm = number / 10 if item.value == "mm" else number
        if self.target or self.muted or cm > 40 or self.past or "compared" in self.before(first, 3):
            return
        direction, place, last = self._landmark(index)
        if place is None:
            place, direction_before = self._landmark_before(index, first)
            direction = direction or direction_before
        if place is None:
            if direction == "above" and any(m.type in AIRWAY or not m.type for m in self.targets()):
                self._measure(cm, "", direction)
            elif self._elliptic(index, first):
                self._measure(cm, "carina", "above")
            return
        for used in range(index + 1, last + 1):
            self.used.add(used)
        self._measure(cm, place, direction)

    def _elliptic(self, index: int, first: int) -> bool:
        """ "ET tube ends 4 cm, ...", "ETT: 4 cm": above the carina, as every such distance is measured."""
        end = self.nodes[index].end
        alone = end == len(self.words) or self.words[end] in (",", ";", "(", "and", "slash")
        before = self.nodes[index - 1] if index else None
        told = self.tip or self.words[first - 1 : first] in ([":"], ["="], ["at"])
        told = told or (isinstance(before, Phrase) and before.end == first)
        targets = self.targets()
        return alone and told and len(targets) == 1 and targets[0].type == T.ENDOTRACHEAL_TUBE and not self.skip_from

    def _number(self, end: int) -> tuple[float, int] | None:
        """The number or the middle of the range before the unit, and where it starts."""
        words = self.words
        if end == 0:
            return None
        last = number_in(words[end - 1])
        if last is None:
            return None
        at = end - 2
        if at >= 0 and words[at] in ("to", "and", "or", "slash", "-", "–", "—"):
            at -= 1
        other = number_in(words[at]) if at >= 0 else None
        if other is not None and 0 < last - other < 10 and words[at] not in ("one",):
            return (last + other) / 2, at
        return last, end - 1

    def _landmark(self, index: int) -> tuple[str | None, str | None, int]:
        """Direction and landmark said after a distance, and the last node they take."""
        direction: str | None = None
        at = index + 1
        end = self.nodes[index].end
        while at < len(self.nodes) and at <= index + 4:
            node = self.nodes[at]
            between = self.words[end : node.start]
            if len(between) > 4 or not {",", ";", "and", "with", "but"}.isdisjoint(between) or isinstance(node, Phrase):
                break
            if node.kind == "direction":
                direction = direction or (node.value if node.value != "from" else None)
            elif node.kind == "place":
                place = node.value if isinstance(node.value, str) else node.value[0]
                if place in LANDMARKS:
                    if place == "abdomen" or place == "prox_desc_aorta":
                        direction = "below"
                    return direction, place, at
                break
            elif node.kind not in ("side", "rib_cage", "vein", "mod", "path", "tip"):
                break
            end = node.end
            at += 1
        return direction, None, index

    def _landmark_before(self, index: int, first: int) -> tuple[str | None, str | None]:
        """ "Above the carina by 4 cm", "distance to carina 4 cm", "carina: 4 cm"."""
        if index == 0:
            return None, None
        node = self.nodes[index - 1]
        if isinstance(node, Phrase) or node.kind != "place":
            if isinstance(node, Item) and node.kind == "direction" and index >= 2:
                earlier = self.nodes[index - 2]
                if isinstance(earlier, Item) and earlier.kind == "place" and node.end >= first - 1:
                    node = earlier
                else:
                    return None, None
            else:
                return None, None
        place = node.value if isinstance(node.value, str) else node.value[0]
        between = self.words[node.end : first]
        if place not in LANDMARKS or len(between) > 2 or "with" in between or "and" in between:
            return None, None
        for mention in self.targets():
            mention.spots = [spot for spot in mention.spots if spot.place != place]
        return place, self._direction(index - 1, node)[0] or None

    def _measure(self, cm: float, place: str, direction: str | None) -> None:
        self.said = True
        spot = Spot(place, "", "tip", direction or "from")
        for mention in self._of_tip(place or "carina"):
            if self.port:
                mention.ports.append(spot)
                continue
            mention.tip_said = True
            landmark = LANDMARKS[place] if place else "carina"
            known = mention.distance
            if known is None or (landmark == "carina" and known.landmark != "carina"):
                mention.distance = Distance(round(cm, 3), landmark, direction)

    def _of_tip(self, place: str) -> list[Mention]:
        """The devices whose tip may lie at, or be measured from, a place."""
        members = [m for m in self.targets() if not m.removed] or self.targets()
        able = [m for m in members if not m.type or measured_from(m.type, LANDMARKS[place])] or members
        if len(able) > 1 and not self.plural_tip and self.tip:
            return able[-1:]
        return able
