"""One module a method, named as the method is; none imports torch before it computes."""
