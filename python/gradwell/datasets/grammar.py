"""The grammar of `stories`: words put together to clauses, sentences and speech."""

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from gradwell.datasets import words
from gradwell.datasets.words import Verb

T = TypeVar("T")


class Draws:
    """Choices made of raw 32-bit integers, which are the same on every machine."""

    def __init__(self, generator: np.random.Generator) -> None:
        self._generator = generator
        self._left: list[int] = []

    def below(self, bound: int) -> int:
        """Draw a whole number from 0 to bound - 1."""
        if not self._left:
            self._left = self._generator.integers(2**32, size=4096, dtype=np.uint32).tolist()
        return self._left.pop() * bound >> 32

    def chance(self, tenths: int) -> bool:
        """Draw True in so many cases of ten."""
        return self.below(10) < tenths

    def one(self, options: Sequence[T]) -> T:
        """Choose one."""
        return options[self.below(len(options))]

    def some(self, options: Sequence[T], count: int) -> list[T]:
        """Choose different ones, in any order."""
        left = list(options)
        return [left.pop(self.below(len(left))) for _ in range(count)]


class Person(NamedTuple):
    """Somebody a tale is about."""

    name: str
    role: str
    nature: str

    @property
    def pronouns(self) -> tuple[str, str, str]:
        """Subject, object and possessive."""
        return ("she", "her", "her") if self.name in words.WOMEN else ("he", "him", "his")

    @property
    def introduced(self) -> str:
        """How a tale names the person first."""
        return f"{article(f'{self.nature} {self.role}')} called {self.name}"


class Subject(NamedTuple):
    """What a verb agrees with."""

    text: str
    plural: bool = False
    own: str = ""  # her, his, its, their


class Grammar:
    """Sentences in one tense, about a few people and made of few words, so that a tale is about something."""

    def __init__(self, draws: Draws) -> None:
        self.draws = draws
        self.past = draws.chance(7)
        names, roles = draws.some(words.WOMEN + words.MEN, 2), draws.some(words.ROLES, 2)
        natures = draws.some(words.NATURES, 2)
        self.hero, self.friend = (Person(*person) for person in zip(names, roles, natures, strict=True))
        self.known = [self.hero]  # who has been introduced
        self.topic: Person | None = None  # whom a pronoun means
        thing, *self.things = draws.some(words.THINGS, 7)
        self.thing = thing.singular
        self.goal = f"{draws.one(words.LOOKS)} {thing.singular}"
        flock, *self.beasts = draws.some(words.BEASTS, 5)
        self.number, self.flock = draws.one(words.NUMBERS), flock.plural
        self.homes, self.spots = draws.some(words.HOMES, 3), draws.some(words.SPOTS, 4)
        self.paths = draws.some(words.PATHS, 4)

    # Sentences.

    def sentence(self) -> str:
        """Make any sentence that is no speech."""
        form = self.draws.below(6)
        if form == 0:
            return self.weather()
        if form == 1:
            join = self.draws.one(("and", "but", "so"))
            return f"{capital(self.clause())}, {join} {self.clause(last=True)}."
        if form == 2:
            join = self.draws.one(("When", "While", "Before"))
            return f"{join} {self.clause()}, {self.clause(last=True)}."
        if form == 3:
            thing, plural = self.draws.one(self.things), self.draws.chance(5)
            done = f"{self.mention(self.draws.one(self.known))} {self.perfect(self.draws.one(words.TAKES))}"
            return f"The {thing[plural]} that {done} {self.verb('be', plural)} {self.draws.one(words.LOOKS)}."
        return f"{capital(self.clause(last=True))}."

    def weather(self) -> str:
        """Make a sentence about the sky and the like."""
        text, plural, verbs = self.draws.one(words.SKY)
        return f"{capital(text)} {self.verb(self.draws.one(verbs), plural)} {self.draws.one(words.PLACES)}."

    def clause(self, last: bool = False) -> str:
        """Make a clause; the last of a sentence may say when."""
        subject = self.subject()
        form = self.draws.below(4)
        when = f" {self.draws.one(words.TIMES)}" if last and self.draws.chance(4) else ""
        if form == 0:
            predicate = f"{self.verb(self.draws.one(words.TAKES), subject.plural)} {self.goods(subject.own)}"
        elif form == 1:
            predicate = f"{self.verb(self.draws.one(words.GOES), subject.plural)} {self.draws.one(self.paths)}"
        elif form == 2:
            predicate = f"{self.verb(self.draws.one(words.RESTS), subject.plural)} {self.draws.one(words.MANNERS)}"
        else:
            predicate = f"{self.verb('be', subject.plural)} {self.draws.one(words.MOODS)}"
        return f"{subject.text} {predicate}{when}"

    # Speech, which is in the present tense whatever the tale's.

    def said(self, speaker: Subject) -> str:
        """Let somebody say one or two sentences."""
        verb = self.verb(self.draws.one(words.SAYS), speaker.plural)
        first, form = capital(self.remark()), self.draws.below(3)
        if form == 0:
            return f'"{first}," {verb} {speaker.text}.'
        second = capital(self.remark())
        if form == 1:
            return f'"{first}," {verb} {speaker.text}. "{second}."'
        return f'{capital(speaker.text)} {self.verb("say", speaker.plural)}, "{first}. {second}."'

    def asked(self, speaker: Subject) -> str:
        """Let somebody ask something."""
        verb = self.verb(self.draws.one(words.ASKS), speaker.plural)
        return f'"{capital(self.question())}?" {verb} {speaker.text}.'

    def remark(self) -> str:
        """Make a sentence to say, without capital and full stop."""
        one = self.draws.one
        form, plural = self.draws.below(9), self.draws.chance(5)
        thing, verb, is_ = one(self.things), one(words.TAKES), "are" if plural else "is"
        forms = (
            lambda: f"I have {verb.participle} {self.goods('my')}",
            lambda: f"my {thing[plural]} {is_} {one(words.LOOKS)}",
            lambda: f"the {one(self.beasts)[plural]} {'have' if plural else 'has'} {verb.participle} my {thing[0]}",
            lambda: f"we must {one(words.GOES).base} {one(self.paths)} {one(words.SOON)}",
            lambda: f"I will {verb.base} {self.goods('your')} {one(words.SOON)}",
            lambda: f"nobody {verb.third} {self.goods()} {one(words.SOON)}",
            lambda: f"your {one(self.beasts)[plural]} {is_} {one(words.MOODS)}",
            lambda: f"there {is_} {one(words.NUMBERS) if plural else 'one'} {thing[plural]} {one(self.spots)}",
            lambda: f"{one(self.known).name} {one(('always', 'never'))} {verb.third} {self.goods()}",
        )
        return forms[form]()

    def question(self) -> str:
        """Make a question, without capital and question mark."""
        one = self.draws.one
        form, plural = self.draws.below(6), self.draws.chance(5)
        thing, verb, is_ = one(self.things), one(words.TAKES), "are" if plural else "is"
        forms = (
            lambda: f"where {is_} my {thing[plural]}",
            lambda: f"where is the {self.goal}",
            lambda: f"have you seen {self.goods('my')}",
            lambda: f"who has {verb.participle} {self.goods('our')}",
            lambda: f"do you {verb.base} {thing.plural} {one(words.SOON)}",
            lambda: f"why {is_} the {one(self.beasts)[plural]} so {one(words.MOODS)}",
        )
        return forms[form]()

    # Phrases and words.

    def subject(self) -> Subject:
        """Name a person or animals."""
        if self.draws.chance(6):
            person = self.draws.one(self.known)
            return Subject(self.mention(person), False, person.pronouns[2])
        return self.creature()

    def creature(self) -> Subject:
        """Name an animal or several, at times with a clause that stands between subject and verb."""
        beast, other = self.draws.some(self.beasts, 2)
        plural = self.draws.chance(5)
        text = f"the {beast[plural]}"
        if self.draws.chance(3):
            text += f" that {self.verb('follow', plural)} the {other[self.draws.chance(5)]}"
        elif self.draws.chance(3):
            text += f" that {self.verb('live', plural)} {self.draws.one(self.homes)}"
        return Subject(text, plural, "their" if plural else "its")

    def goods(self, own: str = "") -> str:
        """Name a thing or several, with `own` at times as whose they are."""
        thing, form = self.draws.one(self.things), self.draws.below(4 if own else 3)
        look = f"{self.draws.one(words.LOOKS)} " if self.draws.chance(5) else ""
        if form == 0:
            return f"{self.draws.one(words.NUMBERS)} {look}{thing.plural}"
        if form == 3:
            return f"{own} {look}{thing[self.draws.chance(5)]}"
        return article(f"{look}{thing.singular}")

    def mention(self, person: Person) -> str:
        """Name a person, by a pronoun where it can be understood."""
        if self.topic is person and self.draws.chance(7):
            return person.pronouns[0]
        return self.name(person)

    def name(self, person: Person) -> str:
        """Name a person by name or role."""
        self.topic = person
        return f"the {person.role}" if self.draws.chance(2) else person.name

    def verb(self, verb: Verb | str, plural: bool = False) -> str:
        """Return the form of a verb in the tale's tense."""
        forms = words.VERBS[verb] if isinstance(verb, str) else verb
        if plural and forms.base == "be":
            return "were" if self.past else "are"
        if self.past:
            return forms.past
        return forms.base if plural else forms.third

    def perfect(self, verb: Verb, plural: bool = False) -> str:
        """Return what had been done before, in the tale's tense."""
        return f"{self.verb('have', plural)} {verb.participle}"


def capital(text: str) -> str:
    """Return the text with a capital letter."""
    return text[0].upper() + text[1:]


def article(text: str) -> str:
    """Return the text behind a or an; of all words here only honest begins with a silent consonant."""
    return f"{'an' if text[0] in 'aeiou' or text.startswith('honest') else 'a'} {text}"
