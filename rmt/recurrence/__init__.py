"""Linear recurrences: norms of powers and of hidden states, for given matrices and sampled from an ensemble."""

from rmt.recurrence.given import hidden_norms as hidden_norms
from rmt.recurrence.given import power_norms as power_norms
from rmt.recurrence.sampled import sample_hidden_norms as sample_hidden_norms
from rmt.recurrence.sampled import sample_power_norms as sample_power_norms
