"""What was measured, for readers: tables, figures, findings and pages, from kept results."""
