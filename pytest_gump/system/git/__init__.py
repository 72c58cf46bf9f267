"""Git: reads the user's repository and checkout, and makes a small, fixed set of changes to them."""
