"""Drover beside real KEDA with the HPA: the same load, the same consumers, one cluster, at the same time.

cli         what can be asked for, in which order, and cleaning up
world       what is the same for all, and what is set for each fleet: pure
excerpt     a part of a trace, and the moments at which its records come: pure
stage       the cluster, KEDA, Drover, topics
feed        produces the records, and tells KEDA the rate
commits     reads what the broker writes down of groups: offsets and generations, with their times
lives       what the API server tells of sizes and pods
figures     delays, pods and changes of a run: pure
trace_runs  all fleets on one load at the same time
bursts      a burst on a fleet at zero, and the first record after rest
rehearsal   the same load in `drover simulate`
picture     what each fleet did, as SVG: pure
page        docs/beside-keda.md: pure
"""
