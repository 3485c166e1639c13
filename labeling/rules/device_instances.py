"""Mentions of a whole report -> separate lines and tubes.

Findings and impression speak of the same tube twice: a mention joins an earlier device of its type unless its side, its
being removed, or words such as "second" say that it is another one.
"""

from __future__ import annotations

from collections.abc import Sequence

from labeling.rules.device_instance import Instance, is_troubled, says_something, tip_of_mention
from labeling.rules.device_mention import FAMILIES, Mention
from labeling.rules.device_words import LOOK_ALIKE, PORTED
from labeling.rules.tips import Spot, best_tip, measured_from, side_port_tip
from labeling.vocabulary import NOT_AVAILABLE, UNCLEAR_TIP, Advice, StatedPosition
from labeling.vocabulary import LineTubeType as T

_PRONOUN_REACH = 2  # sentences back to what "it" or "the tip" may mean
_SINGLE = frozenset((T.ENDOTRACHEAL_TUBE, T.TRACHEOSTOMY_TUBE, T.SWAN_GANZ_CATHETER, T.INTRA_AORTIC_BALLOON_PUMP))
_CENTRAL = (T.INTERNAL_JUGULAR_CVC, T.SUBCLAVIAN_CVC_OR_PORT)
_MEDIASTINAL = frozenset(("mediastinum", "ant_mediastinum", "post_mediastinum", "pericardium"))
_ENTERIC = frozenset(("stomach", "duodenum", "jejunum", "post_pyloric", "gej"))
_NO_PLACE = {NOT_AVAILABLE, UNCLEAR_TIP, "side_port_outside_rib_cage"}  # no other place than the one told before
_ABDOMINAL = frozenset(("ruq", "luq", "abdomen", "stomach", "duodenum"))


class Assembly:
    """Collects the devices of one report, sentence after sentence."""

    def __init__(self) -> None:
        self.instances: list[Instance] = []
        self._last_look_alike = 0  # the last sentence that spoke of a device of no type
        self._ported = False  # an expander or band was named, whose port is no vein's
        self._sentence = 0
        self._touched: list[Instance] = []  # by the sentence being read

    def read(self, number: int, mentions: Sequence[Mention]) -> None:
        self._sentence, self._touched = number, []
        for mention in mentions:
            if mention.denied or mention.planned:
                continue
            if mention.type == "*":
                self._verdict_on_all(mention)
            elif mention.type == LOOK_ALIKE:
                self._last_look_alike = number
                self._ported = self._ported or mention.subtype == PORTED
            elif mention.family == PORTED and self._ported and not self._is_venous_port(mention):
                continue  # "The port" of the expander
            elif mention.type:
                self._named(mention)
            else:
                self._unnamed(mention)
        _share_sides(self._touched)

    def _is_venous_port(self, mention: Mention) -> bool:
        tip = tip_of_mention(mention.type, mention, mention.side)
        return tip != NOT_AVAILABLE or any(i.subtype == "port" for i in self.instances)

    def _verdict_on_all(self, mention: Mention) -> None:
        good = [verdict for verdict in mention.stated if verdict[0] is StatedPosition.SATISFACTORY]
        if not good:
            return
        for instance in self.instances:
            own = instance.verdict_only or any(m.stated for m in instance.mentions)
            if mention.others and is_troubled(instance):
                continue  # "left subclavian tip in the right atrium; other devices appropriately positioned"
            if not own and not instance.removed and instance not in self._touched:
                instance.verdict_only = good
                instance.sentences.append(self._sentence)

    def _unnamed(self, mention: Mention) -> None:
        if not says_something(mention) and not mention.removed:
            return
        reach = self._sentence - _PRONOUN_REACH if not mention.family else 0
        pool = [i for i in self.instances if self._may_mean(mention, i) and i.sentences[-1] >= reach]
        if mention.others and mention.plural:
            pool = [i for i in pool if not is_troubled(i)]
        if pool and not mention.family and self._last_look_alike > max(i.sentences[-1] for i in pool):
            return  # "Pacemaker leads unchanged. Their tips ..."
        if pool and mention.first and all(i.mentions[0].second for i in pool):
            other = pool[-1]  # "A second right IJ line is ... The first ends in the lower SVC."
            mention_type, named_in = other.type, other.sentences[0]
            instance = self._open(mention, mention_type)
            instance.side, instance.sentences = other.side, [named_in, self._sentence]
            return
        if pool:
            latest = max(i.sentences[-1] for i in pool)
            near = [i for i in pool if i.sentences[-1] == latest]
            if mention.advice is not Advice.NONE and not mention.family and not any(is_troubled(i) for i in near):
                near = [
                    i for i in self.instances if is_troubled(i) and not i.removed and i.advice() is Advice.NONE
                ] or near
            gone = [i for i in pool if i.removed]
            counted = [i for i in pool if mention.ordinal and i.ordinal == mention.ordinal]
            if mention.removed and gone:
                chosen = gone[-1:]
            elif counted:
                chosen = counted[-1:]  # "Two chest tubes. The second is kinked."
            elif mention.plural and len(near) > 1:
                chosen = near
            else:
                troubled = [i for i in near if mention.advice is not Advice.NONE and is_troubled(i)]
                chosen = (troubled or near)[-1:]
            for instance in chosen:
                instance.add(mention, self._sentence)
                self._touched.append(instance)
            return
        if mention.family == "tube" and mention.distance is not None and mention.distance.landmark == "carina":
            self._open(mention, T.ENDOTRACHEAL_TUBE)
            return
        if mention.family == "tube" and any(spot.place in _ENTERIC for spot in mention.spots):
            self._open(mention, T.NASOGASTRIC_TUBE).loose = True
            return
        venous = any(best_tip(T.PICC, [spot], mention.side) != NOT_AVAILABLE for spot in mention.spots)
        pleural = any(spot.place in ("lung_upper", "lung_lower", "lung_mid", "pleural_space") for spot in mention.spots)
        if mention.family in ("catheter", "line") and (venous or (mention.side and not pleural)):
            self._open(mention, T.INTERNAL_JUGULAR_CVC).loose = True
        elif mention.family == "drain" and any(spot.place in _MEDIASTINAL for spot in mention.spots):
            self._open(mention, T.MEDIASTINAL_DRAIN)
        elif (mention.family == "drain" and (mention.side or pleural)) or (mention.family == "catheter" and pleural):
            self._open(mention, T.CHEST_TUBE).loose = True

    @staticmethod
    def _may_mean(mention: Mention, instance: Instance) -> bool:
        if mention.family and instance.type not in FAMILIES.get(mention.family, ()):
            return False
        if mention.side and instance.side and mention.side != instance.side:
            return False
        if instance.removed and not mention.removed:
            return False
        if mention.distance is not None and not measured_from(instance.type, mention.distance.landmark):
            return False
        spots = mention.spots + mention.ports
        return not spots or any(
            best_tip(instance.type, [spot], instance.side) != NOT_AVAILABLE or _is_port(instance.type, spot)
            for spot in spots
        )

    def _open(self, mention: Mention, device_type: str) -> Instance:
        instance = Instance(mention, device_type)
        instance.listed = mention.listed
        instance.add(mention, self._sentence)
        self.instances.append(instance)
        self._touched.append(instance)
        return instance

    def _named(self, mention: Mention) -> None:
        pool = [i for i in self.instances if self._may_be(mention, i)]
        if mention.plural and not mention.ordinal and not mention.second and len(pool) > 1 and not mention.listed:
            for instance in pool:
                instance.add(mention, self._sentence)
                self._touched.append(instance)
            return
        if not pool and mention.both:
            earlier = [i for i in self.instances if i.type == mention.type and i not in self._touched and not i.removed]
            if len(earlier) > 1:
                pool = earlier[:1]
        if not pool:
            self._open(mention, mention.type)
            return
        best = max(pool, key=lambda i: (self._likeness(mention, i), i.sentences[-1]))
        if best.type != mention.type and mention.vein == "subclavian":
            best.type = mention.type  # a "central line" that turns out to be subclavian
            best.loose = False
        best.add(mention, self._sentence)
        self._touched.append(best)

    def _may_be(self, mention: Mention, instance: Instance) -> bool:
        same_type = instance.type == mention.type
        if not same_type:
            central = instance.type in _CENTRAL and mention.type in _CENTRAL
            if not central or not (instance.loose or mention.loose):
                return False
            if mention.type == T.SUBCLAVIAN_CVC_OR_PORT and (
                mention.subtype == "port" or instance.subtype != "standard"
            ):
                return False
            if mention.subtype != "standard" or instance in self._touched or instance.subtype == "port":
                return False
            if mention.present or (mention.side and not instance.side):
                return False
            tips = {instance.tip(), tip_of_mention(mention.type, mention, mention.side)} - {NOT_AVAILABLE}
            if len(tips) > 1:
                return False
        if mention.side and instance.side and mention.side != instance.side:
            return False
        if (
            instance in self._touched
            and mention.type in _SINGLE
            and not mention.second
            and mention.removed == instance.removed
        ):
            return True
        if instance in self._touched and (
            mention.listed or mention.second or mention.ordinal or (mention.removed != instance.removed)
        ):
            return False
        if mention.first and len(instance.mentions) and instance.mentions[0].second:
            return False
        if mention.second and instance.ordinal != 2 and instance.type not in _SINGLE:
            return self._same_second(mention, instance)
        if (
            mention.ordinal
            and instance.ordinal
            and mention.ordinal != instance.ordinal
            and mention.side == instance.side
        ):
            return False
        if mention.subtype != instance.subtype and same_type and not self._same_subtype(mention, instance):
            return False
        if instance.removed and not mention.removed:
            return not says_something(mention)
        if instance in self._touched and is_abdominal(instance) and not mention.loose:
            return False  # "a pigtail in the right upper quadrant and a left chest tube"
        return not (mention.removed and not instance.removed and instance.positioned())

    @staticmethod
    def _same_second(mention: Mention, instance: Instance) -> bool:
        """ "The second tube" of a later sentence is the one called so before, unless another place is told."""
        opened = instance.mentions[0]
        tips = {instance.tip(), tip_of_mention(mention.type, mention, mention.side)} - _NO_PLACE
        same = opened.nth == mention.nth == "second" and mention.removed == instance.removed
        return same and instance.type == mention.type and len(tips) < 2

    @staticmethod
    def _same_subtype(mention: Mention, instance: Instance) -> bool:
        """A plain name may mean the special kind, two special kinds are two devices."""
        if mention.type in _SINGLE:
            return True
        if mention.type == T.NASOGASTRIC_TUBE:
            return mention.loose or instance.loose
        if mention.type == T.MEDIASTINAL_DRAIN:
            return False
        if "standard" not in (mention.subtype, instance.subtype):
            return False
        return mention.loose or instance.loose or bool(mention.vein)

    @staticmethod
    def _likeness(mention: Mention, instance: Instance) -> int:
        score = 0
        if mention.side == instance.side:
            score += 4 if mention.side else 3
        score += 2 * (mention.subtype == instance.subtype) + 2 * (mention.type == instance.type)
        score += 2 * (mention.removed == instance.removed) + 3 * (mention.ordinal == instance.ordinal)
        return score


def _is_port(device_type: str, spot: Spot) -> bool:
    return device_type == T.NASOGASTRIC_TUBE and side_port_tip([spot]) != NOT_AVAILABLE


def _share_sides(touched: Sequence[Instance]) -> None:
    """A Swan-Ganz catheter runs through the sheath named beside it: one side for both."""
    swans = [i for i in touched if i.type == T.SWAN_GANZ_CATHETER]
    sheaths = [i for i in touched if i.subtype == "introducer_sheath"]
    if len(swans) == 1 and len(sheaths) == 1:
        side = swans[0].side or sheaths[0].side
        if not swans[0].removed:
            swans[0].side = swans[0].side or side
        sheaths[0].side = sheaths[0].side or side


def is_abdominal(instance: Instance) -> bool:
    """Whether a drain of no certain kind lies in the abdomen."""
    places = {spot.place for mention in instance.mentions for spot in mention.spots}
    return instance.type == T.CHEST_TUBE and instance.loose and bool(places) and places <= _ABDOMINAL


def settle(instance: Instance) -> bool:
    """Correct a loose type by its place; False when the device is none of the ten types after all."""
    if instance.withdrawn and not any(m.spots or m.ports or m.distance or m.stated or m.off for m in instance.mentions):
        instance.removed = True
    if instance.type == T.CHEST_TUBE and instance.loose:
        places = {spot.place for mention in instance.mentions for spot in mention.spots}
        if "pericardium" in places:
            instance.type, instance.subtype = str(T.MEDIASTINAL_DRAIN), "pericardial"
        elif places & {"ant_mediastinum", "mediastinum", "post_mediastinum"} and not instance.side:
            instance.type = str(T.MEDIASTINAL_DRAIN)
        elif is_abdominal(instance):
            return False
    return True
