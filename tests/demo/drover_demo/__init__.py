"""The demo of Drover: standard library only, so that a fresh clone needs nothing for it.

cli      what can be asked for, and cleaning up
stage    cluster, images, controller, topics, the example
kube     the Kubernetes API through `kubectl proxy`: reads and watches
world    what is known at each moment, gathered from watches, the witness and the group
story    the acts, one after the other
starts   instead of them: from zero over and over
result   the table and the verdict
screen   what the terminal shows
"""
