"""What runs inside the sandbox: the fork server, and the process of one job.

These modules import the standard library and each other, nothing else of agentopt: `boot` loads them as a package of
their own into a fresh interpreter, which then shuts itself in. The host imports those that both sides share (`codec`,
`frames`) and those that say what a machine can do.

Inside a job nothing here is a boundary any more: the candidate's code shares its process with `program` and can change
everything in it. The boundary is what the kernel keeps: namespaces, Landlock, seccomp, limits, and the server outside.
"""
