"""A real Kubernetes and a real Kafka on one machine, for tests.

Read in this order: `cli` (the verbs), `full` and `control_plane` (what is started, top to bottom),
`plan` (which ports and addresses), `processes` (how a program is started and stopped).
"""
