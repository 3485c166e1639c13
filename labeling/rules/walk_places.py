"""Places met on the walk: the tip, the side port, and what cannot be seen."""

from __future__ import annotations

from labeling.rules.device_mention import Mention
from labeling.rules.device_nodes import Item, halves
from labeling.rules.tips import Spot
from labeling.rules.walk_state import WalkState
from labeling.rules.walk_words import ABSENT, AIRWAY, AT_A_BEND, ENTERIC, MAYBE, ON, OPPOSITE, PASSING, SO, STOP, VIA
from labeling.vocabulary import LineTubeType as T
from labeling.vocabulary import StatedPosition


class WalkPlaces(WalkState):
    """Reads places."""

    def on_place(self, index: int, item: Item) -> None:
        place, side = item.value if isinstance(item.value, tuple) else (item.value, "")
        if not side and index:
            prior = self.nodes[index - 1]
            if isinstance(prior, Item) and prior.kind == "side" and prior.end == item.start:
                side = prior.value
        words = self.words
        if self.target or self.past or self._of_finding(index, item):
            return
        near_before = self.before(item.start, 4)
        if not OPPOSITE.isdisjoint(self.before(item.start, 2)) or self.words[item.end : item.end + 3] == [
            "on",
            "opposite",
            "side",
        ]:
            side = "opposite"
        if (near_before[-1:] == ["by"] and not self.tip) or near_before[-2:] in (["hidden", "by"], ["obscured", "by"]):
            return
        if (
            not MAYBE.isdisjoint(near_before)
            or near_before[-2:] in (["close", "to"], ["adjacent", "to"], ["next", "to"])
        ) and any(m.spots or m.distance for m in self.targets()):
            return  # a second place, less sure: "but may be at the junction"
        if self.skip_from and "from" in near_before and not self.tip:
            return
        if "pointing" in near_before or "pointed" in near_before:
            return  # "pointing to the right main bronchus" is not in it
        if self.port and "not" in near_before[-2:] and place in ("abdomen", "stomach", "gej"):
            for mention in self.targets():
                mention.ports.append(Spot("gej"))
            return
        if "not" in near_before[-2:] or ("no" in near_before[-3:] and "longer" in near_before):
            return
        if index and isinstance(self.nodes[index - 1], Item) and not self.tip:
            said = self.nodes[index - 1]
            if said.kind == "stated" and said.value[0] in AT_A_BEND and item.start - said.end <= 3:  # type: ignore[union-attr]
                return  # "kinked at the skin"
        if not self.tip and any(
            verdict[0] is StatedPosition.KINKED for m in self.targets() for verdict in m.stated[-1:]
        ):
            return  # "kinking of the catheter at the clavicle"
        if place == "azygos" and "arch" in words[item.start : item.end] and near_before[-1:] == ["at"]:
            return  # "at the level of the azygos arch": a landmark beside the cava
        if not self.group:
            if side in ("left", "right") and item.start and words[item.start - 2 if item.start > 1 else 0] in ON:
                self.side_said = side
            return
        if self.muted:
            return
        direction, near = self._direction(index, item)
        before = words[item.start - 1] if item.start else ""
        how = "tip" if self.tip else "plain"
        if before in VIA or (side and item.start >= 2 and words[item.start - 2] in VIA):
            how = "path"
        elif index and not self.tip:
            way = self.nodes[index - 1]
            passed = isinstance(way, Item) and way.kind == "path" and words[way.start].startswith(PASSING)
            how = "path" if passed else how
        spot = Spot(place, side, how, direction, near)
        able = [m for m in self.targets() if m.fits(place) and self._same_side(m, side)]
        if place in ENTERIC and len({m.type for m in able} & {T.ENDOTRACHEAL_TUBE, T.NASOGASTRIC_TUBE}) > 1:
            able = [m for m in able if m.type == T.NASOGASTRIC_TUBE]
        if not self.respective and self.plural_tip and len(able) > 1 and len({(m.type, m.side) for m in able}) == 1:
            places = [n for n in self.nodes[index:] if isinstance(n, Item) and n.kind == "place"]
            self.respective = int(len(places) >= len(able))  # "two tubes with tips at the apex and base"
        if self.respective and len(able) > 1:
            able = [able[min(self.respective - 1, len(able) - 1)]]
            self.respective += 1
        elif (self.tip or ":" in self.gap(item.start)) and not self.plural_tip and len(able) > 1:
            able = able[-1:]
        for mention in self.targets():
            if place == "midline" and mention.type in AIRWAY and not mention.side:
                mention.side = "midline"
        start = item.start - 2 if words[item.start - 1] == "and" and self.end <= item.start - 2 else item.start
        if self.respective > 1 and "and" in words[start : item.end] and len(self.targets()) == 2:
            first, second = halves(words[start : item.end])
            if first and second:
                able[0].spots.append(spot._replace(place=first))
                able = [m for m in self.targets() if m is not able[0]]
                spot = spot._replace(place=second)
        for mention in able:
            if self.port:
                mention.ports.append(spot)
            self.recent.append((mention, list(mention.spots)))
            if self.tip or not self.port:
                mention.spots.append(spot)
                mention.tip_said = mention.tip_said or self.tip
            if mention.type == T.CHEST_TUBE or (not mention.type and mention.family in ("drain", "tube")):
                self._set_side(mention, side)
        if not able:
            for mention in self.targets():
                if mention.type == T.CHEST_TUBE and place in ("pleural_space", "lung_mid"):
                    self._set_side(mention, side)
                elif self.tip:
                    mention.tip_said = True
                    if place not in ("pleural_space", "midline"):
                        mention.unseen = True
        if able or self.tip:
            self.said = True

    @staticmethod
    def _same_side(mention: Mention, side: str) -> bool:
        lateral = mention.type == T.CHEST_TUBE
        return not lateral or not side or side == "both" or not mention.side or mention.side == side

    def _direction(self, index: int, item: Item) -> tuple[str, bool]:
        if index == 0:
            return "", False
        at = index - 1
        node = self.nodes[at]
        if isinstance(node, Item) and node.kind in ("side", "both") and at:
            at -= 1
            node = self.nodes[at]
        if not isinstance(node, Item) or node.kind != "direction" or item.start - node.end > 2:
            return "", False
        near = bool({"just", "immediately", "slightly", "barely"} & set(self.before(node.start, 2)))
        word = self.words[node.start]
        if node.value == "from" or (word in ("through", "into", "across", "within") and item.value != "gej"):
            return "", False
        return node.value, near

    def _of_finding(self, index: int, item: Item) -> bool:
        """Whether the place only says where a finding is: "apical pneumothorax"."""
        for later in self.nodes[index + 1 : index + 3]:
            if not isinstance(later, Item):
                return False
            between = self.words[item.end : later.start]
            if len(between) > 3 or any(word in STOP for word in between):
                return False
            if later.kind == "finding":
                return True
            if later.kind not in ("place", "mod", "side", "vein"):
                return False
        return False

    def on_tip(self, index: int, item: Item) -> None:
        everyone = item.start > 0 and self.words[item.start - 1] in ("both", "all", "each")
        plural = (
            everyone
            or "tips" in self.words[item.start : item.end]
            or self.words[item.start : item.end]
            in (
                ["end"],
                ["terminate"],
            )
        )
        gap = self.gap(item.start)
        if self.target and not SO.isdisjoint(gap):
            return
        together = self.port and gap in (["and"], ["slash"])
        self.past = self.target = self.skip_from = False
        phrase = self.next_phrase(index, 1)
        if phrase is not None:
            self.pending.append(("tip", plural))
            return
        self.muted = False
        self.tip, self.plural_tip, self.port = True, plural, together
        if not self.group:
            self.anaphor()
            for kind, value in self.pending:
                self._apply(kind, value, self.group)
            self.pending = []

    def on_side_port(self, index: int, item: Item) -> None:
        gap = self.gap(item.start)
        if self.target and not SO.isdisjoint(gap):
            return  # "advance so that the side port lies in the stomach"
        self.target = self.past = self.muted = False
        if self.next_phrase(index, 1) is not None:
            self.pending.append(("port", None))
            return
        self.port, self.tip = True, self.tip and gap in (["and"], ["slash"], ["and", "last"])
        self.anaphor()
        before = self.nodes[index - 1] if index else None
        if isinstance(before, Item) and before.kind == "side" and before.end == item.start:  # "right side port"
            for mention in self.targets():
                if not mention.type:
                    self._set_side(mention, before.value)

    def on_finding(self, _index: int, _item: Item) -> None:
        self.muted = True
        self.pending = []
        self.tip = self.port = False

    def on_off(self, _index: int, _item: Item) -> None:
        if self.muted:
            return
        if not self.group:
            self.anaphor()
        for mention in self.targets():
            mention.off = mention.tip_said = True
        self.said = True

    def on_unseen(self, _index: int, item: Item) -> None:
        if self.muted:
            return
        if self.tip or self.port:
            for mention in self.targets():
                if self.tip:
                    mention.unseen = mention.tip_said = True
            self.said = True
        elif self.group and not self.said:
            flat = tuple(self.words[item.start : item.end]) in ABSENT and not self.referred
            after = self.words[item.end] if item.end < len(self.words) else ""
            for mention in self.targets():
                mention.unseen = True
                if flat and after not in ("below", "beyond", "distal", "past", "distally", "centrally", "to"):
                    mention.denied = True
            self.said = True
