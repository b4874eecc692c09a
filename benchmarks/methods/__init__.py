"""Every training method under one recipe, compared seed by seed."""
