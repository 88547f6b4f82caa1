"""How the documentation is built: Sphinx with MyST, notebooks and examples executed."""

project = "rcakit"
author = "the rcakit authors"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
nb_execution_mode = "cache"
nb_execution_raise_on_error = True
nb_execution_timeout = 300
exclude_patterns = ["_build", "jupyter_execute"]
html_theme = "alabaster"
html_title = "rcakit"
autodoc_typehints = "none"
napoleon_numpy_docstring = True
suppress_warnings = ["myst.xref_missing"]
