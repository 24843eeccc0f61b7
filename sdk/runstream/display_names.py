"""Names for runs that nobody named, and whose ids nobody chose: made of the id, the same wherever they are shown,
stored nowhere."""

import hashlib
import re
from typing import Final

_ADJECTIVES: Final = """
able amber ample azure balmy basic bold brave breezy brief bright brisk calm candid careful cheery civil clear
clever cool copper cosy crisp curious daily dapper deft dry eager early easy even fair famous fancy fast fine
firm fluent fond frank fresh gentle glad golden grand green handy happy hardy hazel honest humble ivory jolly
keen kind large lively loyal lucid lucky mellow merry mild misty modest neat nimble noble olive open patient
plain pleasant plucky polite prime proud quick quiet rapid rare ready regal robust rosy round royal rustic
sandy scenic serene sharp shiny silent silver simple sleek smart smooth snowy soft solid spry stable steady
still strong sturdy subtle sunny swift tall tidy timely tranquil trusty upbeat urban vast velvet vivid warm
wise witty young
"""
_NOUNS: Final = """
acorn alder anchor apple aspen aster badger bamboo basin bay beacon beaver beech berry birch bison bluff
bridge brook canyon cedar cherry cliff clover coral cove crane creek cricket crow dale dawn deer delta dove
dune eagle elm ember falcon fern field finch fir fjord forest fox garden geyser glacier glade gorge grove gull
harbor hare hawk hazel heath heron hill ibis inlet iris island ivy jay kestrel kite lagoon lake lark laurel
leaf lily lotus lynx maple marsh meadow mesa mint moon moss moth oak oasis orchid osprey otter owl palm peak
pearl pebble pine plain plover pond poplar prairie quail rain raven reed reef ridge river robin rose sage seal
shore sparrow spring spruce star stone stork swan thicket thistle tide trail trout tulip valley walnut wave
willow wren
"""
_NUMBERS: Final = 1000
_MADE_ID: Final = re.compile(r"[0-9a-f]{32}")
#: The filter for runs that nobody named and whose ids nobody chose.
UNNAMED: Final = f'name matches "^{_MADE_ID.pattern}$"'
_FORM: Final = re.compile(r"[a-z]+-[a-z]+-[0-9]{1,3}")
_NUMBER_BEGINS: Final = re.compile(r"[0-9]{0,3}")


def display_name(name: str | None, run_id: str) -> str:
    """Return the name of a run. One without a name (servers give its id then) is called by its id, and where nobody
    chose that, `adjective-noun-number`, which the id decides."""
    if name and name != run_id:
        return name
    if _MADE_ID.fullmatch(run_id) is None:
        return run_id
    drawn = int.from_bytes(hashlib.sha256(run_id.encode("utf-8", "replace")).digest()[:8], "big")
    adjectives, nouns = _ADJECTIVES.split(), _NOUNS.split()
    drawn, number = divmod(drawn, _NUMBERS)
    drawn, noun = divmod(drawn, len(nouns))
    return f"{adjectives[drawn % len(adjectives)]}-{nouns[noun]}-{number}"


def may_be_made(name: str) -> bool:
    """Return whether `name` has the form of a name that `display_name` makes."""
    return _FORM.fullmatch(name) is not None


def begins_made(beginning: str) -> bool:
    """Return whether a name that `display_name` makes may begin with `beginning`."""
    adjective, dash, rest = beginning.partition("-")
    if not dash:
        return any(one.startswith(adjective) for one in _ADJECTIVES.split())
    noun, dash, number = rest.partition("-")
    if adjective not in _ADJECTIVES.split():
        return False
    if not dash:
        return any(one.startswith(noun) for one in _NOUNS.split())
    return noun in _NOUNS.split() and _NUMBER_BEGINS.fullmatch(number) is not None
