"""What a potential says about a magnet: exchange, magnons and more, each a task of spinpot analyze."""
