"""The words of `stories`: nouns with their plurals, verbs with their forms, and phrases."""

from typing import NamedTuple


class Noun(NamedTuple):
    """A noun that can be counted."""

    singular: str
    plural: str


class Verb(NamedTuple):
    """The forms of a verb."""

    base: str
    third: str  # of the present tense: she carries
    past: str
    participle: str


def _consonant_y(word: str) -> bool:
    return word.endswith("y") and word[-2] not in "aeiou"


def _with_s(word: str) -> str:
    if _consonant_y(word):
        return word[:-1] + "ies"
    return word + ("es" if word.endswith(("s", "x", "sh", "ch", "o")) else "s")


def _with_ed(word: str) -> str:
    if _consonant_y(word):
        return word[:-1] + "ied"
    return word + ("d" if word.endswith("e") else "ed")


def _nouns(text: str) -> tuple[Noun, ...]:
    """Read nouns, written singular or singular:plural."""
    pairs = (word.partition(":") for word in text.split())
    return tuple(Noun(singular, plural or _with_s(singular)) for singular, _, plural in pairs)


def _verbs(text: str) -> tuple[Verb, ...]:
    """Read verbs, written base, base:past or base:past:participle."""
    forms = ([*word.split(":"), "", ""] for word in text.split())
    return tuple(
        Verb(base, _with_s(base), past or _with_ed(base), participle or past or _with_ed(base))
        for base, past, participle, *_ in forms
    )


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def _phrases(text: str) -> tuple[str, ...]:
    return tuple(phrase.strip() for phrase in text.split(","))


WOMEN = _words("Maren Ilsa Tova Brida Odile Senna Runa Kelda Petra Yara Nella Wilma")
MEN = _words("Aldo Bram Corin Edrik Fenn Gorm Jory Lasse Milo Oskar Tobin Ulric")
ROLES = _words("baker miller weaver potter shepherd fisher carpenter tailor gardener cobbler piper smith teacher")
NATURES = _words("young old patient proud clever quiet stubborn cheerful lonely honest")
MOODS = _words("hungry tired glad cold silent afraid restless thirsty calm curious")
LOOKS = _words("small heavy silver broken wooden round dusty bright crooked plain blue red green black old empty")
MANNERS = _words("slowly softly gladly alone quietly often again")
NUMBERS = _words("two three four five six seven nine twelve")

BEASTS = _nouns("goose:geese fox crow hare goat wolf:wolves mouse:mice owl cat donkey otter hen")
THINGS = _nouns(
    "lantern kettle ring drum key basket ladder mirror loaf:loaves knife:knives blanket bell coin map boat cloak "
    "spoon wheel bucket letter apple hammer"
)

HOMES = _phrases(
    "by the river, behind the old mill, at the edge of the forest, under the hill, near the harbour, in the valley, "
    "beyond the bridge, on the island"
)
SPOTS = _phrases(
    "under the bench, behind the door, on the shelf, beside the well, in the barn, at the bottom of the garden, "
    "inside the oven, between two stones, below the stairs, in the hollow tree"
)
PATHS = _phrases(
    "across the field, down the road, over the bridge, into the forest, up the hill, along the shore, "
    "through the gate, past the mill, to the market, round the pond"
)
TIMES = _phrases(
    "in the morning, at noon, after dark, before supper, on the third day, that night, all winter, "
    "at the end of the week, in the rain"
)

TAKES = _verbs(
    "carry find:found hide:hid:hidden mend clean lose:lost keep:kept sell:sold borrow polish paint count lift "
    "hold:held drop:dropped buy:bought bring:brought watch"
)
GOES = _verbs("walk run:ran climb wander hurry creep:crept go:went:gone travel:travelled march")
RESTS = _verbs("laugh sleep:slept sing:sang wait listen dance rest whistle smile shiver")
SAYS = _verbs("say:said answer reply whisper mutter")
ASKS = _verbs("ask cry whisper")

# What else moves: who, whether that is plural, and what it does.
SKY = (
    ("the wind", False, _verbs("blow:blew rise:rose")),
    ("the rain", False, _verbs("fall:fell return")),
    ("the snow", False, _verbs("fall:fell melt")),
    ("the moon", False, _verbs("shine:shone rise:rose")),
    ("the light of the stars", False, _verbs("fade tremble")),
    ("the stars", True, _verbs("shine:shone fade")),
    ("the leaves", True, _verbs("fall:fell tremble")),
    ("the clouds", True, _verbs("gather drift")),
    ("the shadows", True, _verbs("grow:grew creep:crept")),
    ("the bells of the town", True, _verbs("ring:rang")),
)
PLACES = _phrases("over the roofs, above the hill, in the valley, along the river, beyond the trees, on the water")

# What people mean to do, in speech.
SOON = _phrases("in the morning, at noon, after dark, before supper, on the third day, at the end of the week")

# Verbs that are asked for by name. The plural of is, was is made where it is needed.
VERBS = {
    verb.base: verb
    for verb in _verbs(
        "ask buy:bought count cry dream find:found follow give:gave:given live look love meet:met pack say:said "
        "sell:sold thank want"
    )
} | {"be": Verb("be", "is", "was", "been"), "have": Verb("have", "has", "had", "had")}
