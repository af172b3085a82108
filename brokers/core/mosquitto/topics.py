"""Which topics Mosquitto takes at all, whatever its policy is."""

from __future__ import annotations

from acl.core.values import Publish, Request, Subscribe

OWN_TOPICS = ("$SYS", "$CONTROL/")
MOST_SLASHES = 200  # TOPIC_HIERARCHY_LIMIT; those of $share/<group>/ count


def within_depth(topic: str) -> str:
    """`topic`, or the one name under it that Mosquitto takes if the `#` is what makes it too deep."""
    return topic[:-2] if topic.endswith("/#") and topic.count("/") == MOST_SLASHES + 1 else topic


def unusable(topic: str) -> bool:
    """Whether Mosquitto closes a connection over that topic or filter, as it is spelled in a packet."""
    if topic.count("/") > MOST_SLASHES:
        return True
    return not topic.isprintable() and any(_is_control(character) for character in topic)


def limited(request: Request) -> bool:
    """Whether Mosquitto refuses the request whatever the policy says, the dynamic security plugin left aside."""
    if isinstance(request, Publish) and request.topic.startswith(OWN_TOPICS):
        return True
    return unusable(request.spelled if isinstance(request, Subscribe) else request.topic)


def _is_control(character: str) -> bool:
    """What Mosquitto refuses in a topic: control characters and Unicode's noncharacters."""
    point = ord(character)
    return point < 0x20 or 0x7F <= point <= 0x9F or 0xFDD0 <= point <= 0xFDEF or point & 0xFFFE == 0xFFFE
