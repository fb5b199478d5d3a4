"""What a build will do, settled before a recording is opened.

In: a request. Out: the plan: files, classes, which images stand beside which recordings, and what
is left out.
"""
