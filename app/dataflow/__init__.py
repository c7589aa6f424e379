"""The dataflow: who sends what to whom, the messages, how they travel, and the account of every frame."""
