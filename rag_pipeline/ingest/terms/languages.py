"""The languages whose words can be stemmed, and recognition of a text's language by its function words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import cache

from rag_pipeline.ingest.terms.folding import fold_accents

STEMMERS = {
    "ar": "arabic", "ca": "catalan", "cs": "czech", "da": "danish", "de": "german", "el": "greek", "en": "english",
    "es": "spanish", "et": "estonian", "eu": "basque", "fi": "finnish", "fr": "french", "ga": "irish", "hi": "hindi",
    "hu": "hungarian", "hy": "armenian", "id": "indonesian", "it": "italian", "lt": "lithuanian", "ne": "nepali",
    "nl": "dutch", "no": "norwegian", "pl": "polish", "pt": "portuguese", "ro": "romanian", "ru": "russian",
    "sr": "serbian", "sv": "swedish", "ta": "tamil", "tr": "turkish",
}  # fmt: skip
"""Names of the Snowball stemmers, by language code."""

# The most frequent words without a meaning of their own. Frequent words that are also nouns are left out.
_FUNCTION_WORDS = {
    "da": "af at den der det dig du eller en er et for fra ham han har hendes hun hvad hvor ikke jeg kan med mig mod "
    "når og om på sig som til ud var ved vi vil være",
    "de": "aber als am an auch auf aus bei bis das dass dem den der des die dies diese dieser ein eine einem einen "
    "einer eines er es für hat ich ihr im in ist kann mit nach nicht noch nur oder sein sich sie sind so über um und "
    "uns unter vom von vor war was welche wenn wer werden wie wir wird wo wurde zu zum zur",
    "en": "a about after all also an and any are as at be been but by can could did do does for from had has have he "
    "her his how i if in into is it its me my no not of on or our she should so some such than that the their them "
    "then there these they this to us was we were what when where which while who whom whose why will with would you "
    "your",
    "es": "al como con cuál cuando de del desde dónde el ella en entre es esta este está fue ha hay la las le lo los "
    "más me no nos o para pero por porque que qué quién se si sin sobre son su sus también un una y ya",
    "fi": "ei että he hän ja jos jotka joka kanssa kuin kun me mikä mitä mukaan mutta myös ne niin nyt oli olla on "
    "ovat se sekä sen tai tämä vain voi",
    "fr": "au aux avec ce cela ces cette comment dans de des du elle en est et été il ils je la le les leur mais ne "
    "nous on ou où par pas plus pour qu que quel quelle qui sa sans se ses si son sont sur un une vous y",
    "it": "al alla anche che chi come con cosa da dal dalla dei del della delle di dove e è gli ha i il in la le lo "
    "ma nel nella non o per perché più quale quali quando questa questo se si sono su sul un una",
    "nl": "aan als bij dan dat de deze die dit door een en er geen had heeft het hij hoe hun ik in is kan maar meer "
    "met naar niet nog of om onder ook op over te tot uit van veel voor waar wat werd we wie wordt zal ze zich zijn",
    "no": "at av de den der det du eller en er et for fra ham han har hennes hun hva hvor ikke jeg kan med meg mot når "
    "og om på seg som til ut var ved vi vil være",
    "pl": "aby ale a bo być co czy dla do gdy gdzie i ich jak jako jest jego już która które który lub ma na nie o od "
    "oraz po przez przy się są tak tego też to w we z za ze że",
    "pt": "ao aos as com como da das de do dos e é ela ele em entre está foi há isso mais mas na não nas no nos o onde "
    "os ou para pela pelo por qual quando que quem se sem ser seu são sua também um uma",
    "ru": "а без более бы был была были было быть в вы где для до его ее если есть же за и из или их к как когда "
    "который кто ли мы на не него но о об он она они от по при с так также то только у что чтобы это этот я",
    "sv": "är att av de den det du efter eller en ett för från han har hon hur i inte jag kan med men mot när och om "
    "på så som till under ut vad var vi vid vilka",
    "tr": "ama bir bu çok da daha de değil en gibi göre her hem için ile ise ki kim mi nasıl ne neden nerede o olan "
    "olarak sonra şu var ve veya ya",
}  # fmt: skip
DETECTED = tuple(_FUNCTION_WORDS)
"""The languages that :func:`detect` recognizes."""
_CLEAR_LEAD = 1.2


@cache
def function_words(language: str) -> frozenset[str]:
    """Return the folded function words of a language; none for languages that are not recognized."""
    return frozenset(fold_accents(word) for word in _FUNCTION_WORDS.get(language, "").split())


@cache
def all_function_words() -> frozenset[str]:
    """Return the folded function words of all recognized languages."""
    return frozenset().union(*map(function_words, DETECTED))


def detect(words: Iterable[str], *, least: int) -> str | None:
    """Return the language with the most function words among folded words; None if it is not clear.

    ``least`` is the number of function words it must have.
    """
    counts = Counter(
        language for word, count in Counter(words).items() for language in _languages_of(word) for _ in range(count)
    ).most_common(2)
    if not counts or counts[0][1] < least:
        return None
    if len(counts) > 1 and counts[0][1] < counts[1][1] * _CLEAR_LEAD:
        return None
    return counts[0][0]


@cache
def _by_word() -> dict[str, tuple[str, ...]]:
    words: dict[str, tuple[str, ...]] = {}
    for language in DETECTED:
        for word in function_words(language):
            words[word] = (*words.get(word, ()), language)
    return words


def _languages_of(word: str) -> tuple[str, ...]:
    return _by_word().get(word, ())
