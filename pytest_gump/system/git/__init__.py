"""Git: the user's repository and checkout, read freely and written in few named ways."""
