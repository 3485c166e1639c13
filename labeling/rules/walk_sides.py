"""Sides and veins of insertion that stand apart from the name: "on the left", "via the right subclavian vein"."""

from __future__ import annotations

from labeling.rules.device_mention import Mention
from labeling.rules.device_nodes import Item, Phrase
from labeling.rules.device_words import LOOK_ALIKE
from labeling.rules.tips import Spot
from labeling.rules.walk_distances import WalkDistances
from labeling.rules.walk_words import AIRWAY, INTO, ON, VENOUS, VERBS, VIA, after_that
from labeling.vocabulary import LineTubeType as T
from labeling.vocabulary import StatedPosition

_BENDS = (StatedPosition.COILED, StatedPosition.LOOPED, StatedPosition.DOUBLED_BACK)


class WalkSides(WalkDistances):
    """Reads sides."""

    def on_side(self, index: int, item: Item) -> None:
        following = self.nodes[index + 1] if index + 1 < len(self.nodes) else None
        if isinstance(following, Item) and following.start == item.end and following.kind in ("place", "finding"):
            if (
                following.kind == "finding"
                and self.words[item.start - 1] in ("in", "within", "into")
                and not self.muted
            ):
                for mention in self.targets():  # "pigtail catheter within the left pleural effusion"
                    if mention.type == T.CHEST_TUBE:
                        self._set_side(mention, item.value)
            return
        before = self.words[item.start - 1] if item.start else ""
        side = item.value
        following_word = self.words[item.end] if item.end < len(self.words) else ""
        if not self.group and item.start == 0 and following_word in VERBS and side != "both":
            self.anaphor("one")  # "The left is kinked."
            self.group[0].side = side
            return
        if (
            before == "on"
            and item.start > 1
            and after_that(self.words, item.start)
            and self.group
            and side in ("left", "right")
        ):
            old = self.group[-1]
            if old.side and old.side != side:  # "that on the left": another of the same kind
                new = self._clone(old)
                new.side, new.listed = side, True
                self.mentions.append(new)
                self.group, self.focus, self.said = [new], None, False
                self.muted = self.tip = self.port = False
                return
        later = any(isinstance(n, Item) and n.kind == "ordinal" for n in self.nodes[index + 1 :])
        if (
            before == "on"
            and any(m.ordinal and not m.side for m in self.group)
            and side != "both"
            and (later or self.focus)
        ):
            if self.focus is not None and not self.focus[0].side:
                self.focus[0].side = side
            else:
                self.ordinal_side = side
            return
        many = len({m.side for m in self.group if m.type == self.group[-1].type}) > 1 if self.group else False
        if many and side in ("left", "right"):
            self.focus = [m for m in self.group if m.side == side] or None
            self.said = True
            self.muted = self.tip = self.port = False
            return
        vein = (
            following
            if isinstance(following, Item) and following.start == item.end and following.kind == "vein"
            else None
        )
        if vein is not None and self.words[vein.start] == "neck" and before in INTO and self.tip:
            self.used.add(index + 1)
            self.on_place(index + 1, Item(item.start, vein.end, "place", ("neck", side)))
            return
        if vein is not None and self.port and self.words[vein.start : vein.end] == ["chest", "wall"]:
            self.used.add(index + 1)  # "its side port projects over the left chest wall"
            self.on_place(index + 1, Item(item.start, vein.end, "place", ("chest_wall", side)))
            return
        if vein is not None:
            self.used.add(index + 1)
            self._enter(side, str(vein.value), before)
            return
        if side == "both" and self.group and self.group[-1].plural and not self.muted:
            for mention in list(self.targets()):
                self._set_side(mention, side)
            return
        aside = isinstance(self.nodes[index - 1], Phrase) and following_word in ("", ",") and before == ","
        if before in ON or (index and aside):
            if self.group and not self.muted:
                self._enter(side, "", before)
            elif not self.group:
                self.side_said = side if side != "both" else ""

    def _bent(self) -> bool:
        """Whether the last thing said is a loop or a coil: "looped in the neck"."""
        return any(m.stated and m.stated[-1][0] in _BENDS for m in self.targets())

    def on_vein(self, index: int, item: Item) -> None:
        before = self.words[item.start - 1] if item.start else ""
        if self.words[item.start : item.end] == ["chest", "wall"] and self.port:
            self.on_place(index, Item(item.start, item.end, "place", "chest_wall"))
        elif self.words[item.start] == "neck" and before in INTO and (self.tip or self._bent()):
            self.on_place(index, Item(item.start, item.end, "place", "neck"))
        elif isinstance(item.value, str):
            self._enter("", item.value, before)

    def _enter(self, side: str, vein: str, before: str) -> None:
        """A side or vein of insertion said after the name; for a chest tube the side it lies on."""
        if self.muted:
            return
        for mention in self.targets():
            lateral = mention.type in (T.CHEST_TUBE, T.MEDIASTINAL_DRAIN) or (
                not mention.type and mention.family in ("drain", "tube")
            )
            venous = mention.type in VENOUS or not mention.type
            if (
                lateral
                or (venous and (before in ON or before in VIA or vein == "arm" or mention.subtype == "port"))
                or (venous and vein == "chest" and not self.tip)
            ):
                self._set_side(mention, side)
            if vein == "arm" and mention.type == T.PICC and before not in VIA and before not in ON:
                mention.spots.append(Spot("arm", side, "tip" if self.tip else "path"))
            elif vein == "chest" and mention.type in (T.NASOGASTRIC_TUBE, *AIRWAY):
                pass
        if self.tip and vein == "chest":
            for mention in self.targets():
                mention.tip_said = True

    def on_entry(self, _index: int, item: Item) -> None:
        side, vein = item.value
        for mention in self.targets() or []:
            self._set_side(mention, side)
            if (mention.type == T.INTERNAL_JUGULAR_CVC and mention.loose and vein) or not mention.type:
                self._retype(mention, vein)
        if not self.group:
            self.side_said = side

    @staticmethod
    def _retype(mention: Mention, vein: str) -> None:
        if vein == "subclavian":
            mention.type = str(T.SUBCLAVIAN_CVC_OR_PORT)
            mention.subtype = "standard" if mention.subtype == "introducer_sheath" else mention.subtype
        elif vein == "ij":
            mention.type = str(T.INTERNAL_JUGULAR_CVC)
        elif vein == "femoral":
            mention.type = LOOK_ALIKE
        mention.vein, mention.loose, mention.definite = vein, False, False

    def on_for_dialysis(self, _index: int, _item: Item) -> None:
        for mention in self.targets():
            if mention.type in (T.INTERNAL_JUGULAR_CVC, T.SUBCLAVIAN_CVC_OR_PORT) and mention.subtype == "standard":
                mention.subtype = "dialysis"
