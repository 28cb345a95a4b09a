"""Training of linear recurrent models: tasks, models, and the training loop."""
