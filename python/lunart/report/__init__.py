"""What a person sees of a result: pictures, places in words, the report and the notebook's view."""
