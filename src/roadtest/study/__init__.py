"""Many runs under one protocol: planned, trained here one process each, and left as one folder. Its face is `api`."""
