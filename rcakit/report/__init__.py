"""Findings to page: what a playbook shows and publishes, and how the reader's page is made."""

from rcakit.report.answer import Answer, compose
from rcakit.report.page import page
from rcakit.report.publishing import FINDINGS_MIME, AnswerBox, answer_box, collect, publish
from rcakit.report.sections import Section, actions, doubts, impact, limits, timeline

__all__ = [
    "FINDINGS_MIME",
    "Answer",
    "AnswerBox",
    "Section",
    "actions",
    "answer_box",
    "collect",
    "compose",
    "doubts",
    "impact",
    "limits",
    "page",
    "publish",
    "timeline",
]
