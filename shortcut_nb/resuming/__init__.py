"""What commands keep: work that goes on when it is given again, and what is made only once."""
