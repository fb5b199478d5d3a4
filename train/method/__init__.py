"""How knowledge is carried over: what the static branch is shown, and what both branches cost."""
