"""Labels frames with open codes: a recipe makes configurations, and one job labels each of them."""
