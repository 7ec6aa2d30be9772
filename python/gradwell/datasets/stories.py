"""A built-in text to model: little tales made by a grammar."""

import textwrap
from collections.abc import Callable

from gradwell.datasets import words
from gradwell.datasets.arguments import generator, whole_number
from gradwell.datasets.grammar import Draws, Grammar, Subject, article, capital

_WIDTH = 80


def stories(characters: int = 100_000, seed: int = 0) -> str:
    """Write little tales, a text for a network to model character by character.

    A phrase-structure grammar makes them of some 450 forms of words. What there is to learn spans many
    ranges: the spelling of words; ``a`` and ``an``; verbs that agree with their subject across a clause
    between them; one tense for a whole tale, but for what is said; quotations that must be closed; pronouns;
    and the people and things of the first paragraph, which come back until the last.

    A tale is a title and paragraphs, with an empty line between them, in lines of at most 80 characters; two
    empty lines divide tales.

    Parameters
    ----------
    characters : int
        At least how many; the text ends with the tale that reaches it.
    seed : int
        The same seed gives the same tales on every machine, and more characters the same and further tales.

    Returns
    -------
    str
        The text: letters, spaces, line ends and ``",.!?``.

    Raises
    ------
    TypeError, ValueError
        If `characters` is not an int of at least 1, or `seed` not one of at least 0.

    Examples
    --------
    >>> text = stories(1000)
    >>> len(text) >= 1000, max(len(line) for line in text.splitlines()) <= 80
    (True, True)
    """
    characters = whole_number("stories", "characters", characters)
    draws = Draws(generator("stories", seed))
    tales: list[str] = []
    written = 0
    while written < characters:
        tales.append(("\n\n" if tales else "") + _Tale(draws).text())
        written += len(tales[-1])
    return "".join(tales)


class _Tale(Grammar):
    """One tale: a plot with a beginning and an end, and anything between them."""

    def text(self) -> str:
        title, *paragraphs = self.draws.one((self.loss, self.gift, self.quarrel))()
        wrapped = (textwrap.fill(paragraph, _WIDTH, break_on_hyphens=False) for paragraph in paragraphs)
        return "\n\n".join((_title(title), *wrapped)) + "\n"

    def loss(self) -> list[str]:
        hero, friend, goal = self.hero, self.friend, self.goal
        she = hero.pronouns[0]
        beginning = self.paragraph(
            f"{self.arrival()}. {capital(she)} {self.verb('have')} {article(goal)} and {self.number} {self.flock}, "
            f"and {she} {self.verb('love')} them all.",
            more=1,
        )
        search = self.paragraph(
            f"One day {self.mention(hero)} {self.verb('look')} {self.draws.one(self.spots)}, but the {goal} "
            f'{self.verb("be")} gone. "Who has taken my {goal}?" {self.verb("cry")} {self.name(hero)}.',
            more=1,
        )
        meeting = (
            f"On the way {self.draws.one(self.paths)} {hero.name} {self.verb('meet')} {friend.introduced}. "
            f'"Have you seen my {goal}?" {self.verb("ask")} {self.name(hero)}. {self.answer()}'
        )
        self.known.append(friend)
        hide = next(verb for verb in words.TAKES if verb.base == "hide")
        end = self.paragraph(
            f"At last {self.mention(hero)} {self.verb('find')} the {goal} {self.draws.one(self.spots)}, where the "
            f'{self.flock} {self.perfect(hide, plural=True)} it. "Here is my {goal}!" {self.verb("cry")} '
            f"{self.name(hero)}. {self.moral()}"
        )
        title = self.draws.one((f"the {hero.role} and the {goal}", f"{hero.name} and the {self.number} {self.flock}"))
        return [title, beginning, search, meeting, *self.middle(), end]

    def gift(self) -> list[str]:
        hero, friend, goal = self.hero, self.friend, self.goal
        beginning = (
            f"{self.arrival()}. {capital(hero.pronouns[2])} best friend {self.verb('be')} {friend.introduced}. "
            f"{hero.name} {self.verb('want')} to make {article(goal)} for {friend.pronouns[1]}."
        )
        self.known.append(friend)
        rest = self.draws.one(words.RESTS)
        end = self.paragraph(
            f"At last the {goal} {self.verb('be')} ready, and {hero.name} {self.verb('give')} it to {friend.name}. "
            f'"I have never seen such {article(goal)}," {self.verb("say")} {friend.name}. '
            f"{capital(friend.pronouns[0])} {self.verb('thank')} {hero.pronouns[1]}, and both "
            f"{self.verb(rest, plural=True)}. {self.moral()}"
        )
        title = self.draws.one((f"{article(goal)} for {friend.name}", f"the {hero.role} and the {friend.role}"))
        return [title, beginning, *self.middle(), end]

    def quarrel(self) -> list[str]:
        hero, friend, goal = self.hero, self.friend, self.goal
        beginning = (
            f"{self.arrival()}. {capital(friend.introduced)} {self.verb('live')} not far away. They "
            f"{self.verb('have', plural=True)} one {self.thing} between them, {article(goal)}, and each "
            f"{self.verb('want')} to keep it."
        )
        self.known.append(friend)
        claims = (
            f'"The {goal} is mine," {self.verb("say")} {hero.name}. "{capital(self.remark())}." '
            f'"No, it is mine," {self.verb("say")} {friend.name}. "{capital(self.remark())}."'
        )
        rest = self.draws.one(words.RESTS)
        end = self.paragraph(
            f"At last they {self.verb('sell', plural=True)} the {goal} and {self.verb('buy', plural=True)} "
            f'{self.number} {self.flock}. "{capital(self.number)} {self.flock} are better than one {self.thing}," '
            f"{self.verb('say')} {friend.name}, and {hero.name} {self.verb(rest)}. {self.moral()}"
        )
        title = self.draws.one((f"{hero.name} and {friend.name}", f"the {self.number} and the one"))
        return [title, beginning, claims, *self.middle(), end]

    # Paragraphs.

    def middle(self) -> list[str]:
        kinds: tuple[Callable[[], str], ...] = (self.talk, self.journey, self.counting, self.trade, self.night)
        chosen = self.draws.some(kinds, 2 + self.draws.below(3))
        return [self.paragraph(kind(), more=self.draws.below(3)) for kind in chosen]

    def paragraph(self, beginning: str, more: int = 0) -> str:
        sentences = [beginning, *(self.sentence() for _ in range(more))]
        self.topic = None  # the next paragraph names people anew
        return " ".join(sentences)

    def talk(self) -> str:
        speakers = [Subject(self.name(person)) for person in self.known]
        asker, other = self.draws.some([*speakers, self.creature()], 2)
        self.topic = None
        return f"{self.asked(asker)} {self.said(other)}" + (f" {self.said(asker)}" if self.draws.chance(5) else "")

    def journey(self) -> str:
        there, further = self.draws.some(self.paths, 2)
        return (
            f"{capital(self.mention(self.hero))} {self.verb('pack')} {self.goods()}, {self.goods()} and "
            f"{self.goods()} and {self.verb(self.draws.one(words.GOES))} {there} and {further}. "
            f"The {self.draws.one(self.beasts).plural} {self.verb('follow', plural=True)} {self.hero.pronouns[1]}."
        )

    def counting(self) -> str:
        many, single = self.draws.some(self.things, 2)
        here, there = self.draws.some(self.spots, 2)
        number, person = self.draws.one(words.NUMBERS), self.draws.one(self.known)
        return (
            f"There {self.verb('be', plural=True)} {number} {many.plural} {here} and {article(single.singular)} "
            f"{there}. {capital(self.mention(person))} {self.verb('count')} the {many.plural}. "
            f'"There are only {number} {many.plural}," {self.verb("say")} {self.name(person)}.'
        )

    def trade(self) -> str:
        wanted, offered = self.draws.some(self.things, 2)
        price = f"{self.draws.one(words.NUMBERS)} {offered.plural}"
        giver, (_, him, _) = self.hero, self.friend.pronouns
        self.topic = giver
        return (
            f'"Give me your {wanted.singular}," {self.verb("say")} {self.friend.name}, "and I will give you {price}." '
            f"So {giver.name} {self.verb('give')} {him} the {wanted.singular} and {self.verb('thank')} {him} for the "
            f"{price}."
        )

    def night(self) -> str:
        person = self.draws.one(self.known)
        return (
            f"{self.weather()} {capital(self.mention(person))} {self.verb('dream')} of {self.goods()} and "
            f"{article(self.draws.one(self.beasts).singular)}."
        )

    # Parts of them.

    def arrival(self) -> str:
        hero, home = self.hero, self.draws.one(self.homes)
        self.topic = hero
        if self.draws.chance(5):
            return f"Once there {self.verb('be')} {hero.introduced} who {self.verb('live')} {home}"
        who = article(f"{hero.nature} {hero.role}")
        return f"{capital(home)} there {self.verb('live')} {who} whose name {self.verb('be')} {hero.name}"

    def answer(self) -> str:
        said = f"{self.verb('say')} {self.friend.name}"
        form = self.draws.below(3)
        if form == 0:
            return f'"I saw it {self.draws.one(self.spots)}," {said}.'
        if form == 1:
            return f'"No," {said}, "but {self.remark()}."'
        return f'"Ask the {self.draws.one(self.beasts).singular} that lives {self.draws.one(self.homes)}," {said}.'

    def moral(self) -> str:
        first, second = self.draws.some(words.TAKES, 2)
        rule = f"whoever {first.third} {article(self.draws.one(self.things).singular)} must {second.base} it"
        return f'"{capital(rule)}," {self.verb("say")} {self.draws.one(self.known).name}.'


def _title(text: str) -> str:
    small = {"a", "an", "and", "for", "the"}
    return capital(" ".join(word if word in small else capital(word) for word in text.split()))
