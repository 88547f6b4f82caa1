"""Every error and warning that rcakit raises.

RcaError
├── ParameterError          an argument or a playbook parameter has a value that is not allowed
├── SchemaError             a table lacks a column, or a column has the wrong type
├── NotEnoughDataError      the table is fine, but too small to answer the question
├── SourceError             rows could not be read
└── PlaybookError           a notebook is not a playbook, or its run failed

RcaWarning
├── AssumptionWarning       the method assumes something that these data may not hold
├── ApproximationWarning    the number is approximate, and the message says by how much
└── DataQualityWarning      rows were left out or look wrong

A message says what was wrong, what was given, what is allowed and what to do.
"""

__all__ = [
    "ApproximationWarning",
    "AssumptionWarning",
    "DataQualityWarning",
    "NotEnoughDataError",
    "ParameterError",
    "PlaybookError",
    "RcaError",
    "RcaWarning",
    "SchemaError",
    "SourceError",
]


class RcaError(Exception):
    """Base of every error that a user of rcakit can mend."""


class ParameterError(RcaError, ValueError):
    """An argument or a playbook parameter has a value that is not allowed."""


class SchemaError(RcaError, ValueError):
    """A table lacks a column, or a column has the wrong type."""


class NotEnoughDataError(RcaError, ValueError):
    """The table is well formed but too small to answer the question."""


class SourceError(RcaError, OSError):
    """Rows could not be read from where the caller said they are."""


class PlaybookError(RcaError):
    """A notebook is not a playbook, or its run did not finish."""


class RcaWarning(UserWarning):
    """Base of every warning, so that a user can turn them all into errors."""


class AssumptionWarning(RcaWarning):
    """The method assumes something that these data may not hold."""


class ApproximationWarning(RcaWarning):
    """The number is an approximation; the message says how rough it is."""


class DataQualityWarning(RcaWarning):
    """Rows were left out or look wrong."""
