"""Work on files, from start to end: functions that raise, report their progress and return a Result. They print nothing and never exit."""
