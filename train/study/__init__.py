"""Many runs: a sweep's file in, run directories out; run directories in, a comparison out."""
