"""What words are about that are not about the user: texts that are worked on, and business."""

import re

_TEXT = (
    r"(?:paragraph|sentence|verse|stanza|chapter|slide|bullet(?: point)?|section|step|footnote"
    r"|draft|e-?mail|letter|essay|story|poem|song|lyrics|text|code|script|function|picture|photo"
    r"|image|recipe|scene|column|row|cell|document|spreadsheet|cart|basket|playlist|shopping list"
    r"|cv|resume|toast|speech|article|blog post|bio|invitation)s?"
)
_POINTED = r"(?:the|this|that|these|each|every|your|\w+(?:st|nd|rd|th))"
_WORKS = re.compile(
    rf"\b{_POINTED} (?:[\w-]+ )?{_TEXT}\b"
    r"|^\W*(?:(?:can|could|would) you |please )*(?:write|rewrite|rephrase|edit|proofread|translate"
    r"|summari[sz]e|shorten|polish|revise|draft)\b",
    re.IGNORECASE,
)
_OF_BUSINESS = re.compile(
    rf"^\W*(?:(?:{_POINTED}|my|our|all) (?:[\w-]+ )?{_TEXT}"
    rf"|(?:{_POINTED}|my|our|an?|all) (?:[\w-]+ )?(?:orders?|bookings?|reservations?|appointments?"
    r"|meetings?|tickets?|deliver(?:y|ies)|calls?|parcels?|invoices?))\b",
    re.IGNORECASE,
)


def works_on_text(sentence: str) -> bool:
    """Whether a sentence speaks of a text, or a part of one: "the second verse", "rewrite this"."""
    return _WORKS.search(sentence) is not None


def is_business(what: str) -> bool:
    """Whether what is cancelled or dropped is a text or an errand: "the order of oat milk"."""
    return _OF_BUSINESS.match(what) is not None
