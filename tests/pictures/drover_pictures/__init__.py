"""Pictures of the dashboards and of `drover top`, with what a real cluster really said: standard library only.

cli         what can be asked for, and cleaning up
story       fleets on a cluster, busy, idle, late, stuck and paused, for four minutes
prometheus  reads controller and workers meanwhile, as the chart's PodMonitors ask for it
terminal    a program in a pseudo-terminal; `cells` is what its screen shows
answers     what Prometheus answers to each query of a dashboard: a file, so that it can be drawn again
dashboard   the dashboards' own files: panels, places, queries, units, colours
board       draws a dashboard, panel by panel: `timeseries`, `plain` (numbers, bars, tables), `units`
shot        draws a terminal's screen
svg         what both are drawn with
"""
