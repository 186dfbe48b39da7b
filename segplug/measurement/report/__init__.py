"""What a measurement leaves behind: tables, annotated pictures and one HTML page."""
