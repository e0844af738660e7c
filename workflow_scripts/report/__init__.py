"""Tables, figures and the report page; never imports torch."""
