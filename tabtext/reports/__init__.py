"""Reports: one HTML file that shows a fit, and what such a page is made of.

``write_report`` looks at a fitted model and writes what applies to it. ``write_page`` writes any
sections, for pages of one's own.
"""

from tabtext.reports.elements import Excerpt, Picture, Section, Table
from tabtext.reports.page import write_page
from tabtext.reports.report import write_report

__all__ = ["Excerpt", "Picture", "Section", "Table", "write_page", "write_report"]
