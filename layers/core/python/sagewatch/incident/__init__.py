"""The life of an incident: opened by a finding, told to receivers, resolved by evidence or by hand."""
