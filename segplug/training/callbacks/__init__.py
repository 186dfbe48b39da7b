"""What happens beside the optimisation: the table of epochs, checkpoints, printed lines, pictures."""
