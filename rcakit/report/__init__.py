"""Findings to page: what a playbook shows and publishes, and how the reader's page is made."""

from rcakit.report.answer import Answer, compose
from rcakit.report.examples import examples
from rcakit.report.page import analyst_page, page
from rcakit.report.publishing import (
    FINDINGS_MIME,
    AnswerBox,
    answer_box,
    collect,
    mask,
    publish,
)
from rcakit.report.sections import Section, actions, doubts, impact, limits, timeline

__all__ = [
    "FINDINGS_MIME",
    "Answer",
    "AnswerBox",
    "Section",
    "actions",
    "analyst_page",
    "answer_box",
    "collect",
    "compose",
    "doubts",
    "examples",
    "impact",
    "limits",
    "mask",
    "page",
    "publish",
    "timeline",
]
