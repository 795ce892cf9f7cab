"""One module for each form that usage arrives in; each ends in schemas.usage.Usage."""
