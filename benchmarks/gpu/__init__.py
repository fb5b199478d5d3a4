"""What ``make gpu`` runs, a file a part; ``parts.py`` lists them."""
