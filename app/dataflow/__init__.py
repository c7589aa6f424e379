"""The dataflow: who sends what to whom, the messages, how they travel, and the loop that every worker runs."""
