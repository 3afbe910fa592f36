"""Mail: the rows that wait, how they are worded, and the server that takes them."""
