"""Labels by open codes: configurations of a recipe, each labelled by a job of its own."""
