"""What protection does to a picture and to a model."""
