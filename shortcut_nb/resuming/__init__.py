"""Work of a command that goes on: the same command, given again, takes up what is done."""
