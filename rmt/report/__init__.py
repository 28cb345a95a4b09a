"""A run as one HTML page that holds everything it shows."""

from rmt.report.index import write_index as write_index
from rmt.report.page import write_report as write_report
