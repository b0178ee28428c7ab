package main

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// mean is the mean of one controller's runs of a scenario.
func mean(rows []row, scenario, controller string) (m row, found bool) {
	n := 0.0
	for _, r := range rows {
		if r.Scenario != scenario || r.Controller != controller {
			continue
		}
		n++
		from, to := r.values(), m.values()
		for at := range from {
			*to[at] += *from[at]
		}
	}
	for _, value := range m.values() {
		*value /= math.Max(n, 1)
	}
	m.Scenario, m.Controller = scenario, controller
	return m, n > 0
}

func (r *row) values() []*float64 {
	return []*float64{&r.Hours, &r.PodHours, &r.TimeOver, &r.Late, &r.P50, &r.P99, &r.P999, &r.Rebalances, &r.Moved,
		&r.Events, &r.Peak, &r.Score}
}

// tell prints the table of one scenario, each figure the mean over seeds.
func tell(rows []row, controllers []string) {
	if len(rows) == 0 {
		return
	}
	name := rows[0].Scenario
	first, _ := mean(rows, name, rows[0].Controller)
	fmt.Printf("\n%s, %.1f h\n", name, first.Hours)
	fmt.Printf("  %-14s %9s %8s %8s %8s %8s %8s %7s %7s %7s %6s %8s\n", "controller", "pod-hours", "over, %", "late, %",
		"p50, s", "p99, s", "p99.9, s", "rebal.", "moved", "events", "peak", "score")
	for _, controller := range controllers {
		if r, found := mean(rows, name, controller); found {
			fmt.Printf("  %-14s %9.1f %8.3f %8.3f %8.2f %8.1f %8.1f %7.0f %7.0f %7.0f %6.1f %8.1f\n", controller, r.PodHours,
				r.TimeOver, r.Late, r.P50, r.P99, r.P999, r.Rebalances, r.Moved, r.Events, r.Peak, r.Score)
		}
	}
}

// ratios prints the first controller's figures beside those of each other one.
func ratios(rows []row, controllers []string) {
	if len(controllers) < 2 {
		return
	}
	var names []string
	for _, r := range rows {
		if !slices.Contains(names, r.Scenario) {
			names = append(names, r.Scenario)
		}
	}
	base := controllers[0]
	fmt.Printf("\n%s by each other one: pod-hours, points of time over the promise more, rebalances, score\n", base)
	fmt.Printf("  %-34s", "")
	for _, other := range controllers[1:] {
		fmt.Printf(" | %-31s", other)
	}
	fmt.Println()
	sums := make([][4]float64, len(controllers))
	for _, name := range names {
		own, _ := mean(rows, name, base)
		line := []string{fmt.Sprintf("  %-34s", name)}
		for at, other := range controllers[1:] {
			its, _ := mean(rows, name, other)
			parts := [4]float64{own.PodHours / its.PodHours, own.TimeOver - its.TimeOver,
				(own.Rebalances + 1) / (its.Rebalances + 1), own.Score / its.Score}
			for part := range parts {
				if part == 1 {
					sums[at][part] += parts[part]
				} else {
					sums[at][part] += math.Log(parts[part])
				}
			}
			line = append(line, fmt.Sprintf("x%5.2f %+8.3f x%6.2f x%5.2f ", parts[0], parts[1], parts[2], parts[3]))
		}
		fmt.Println(strings.Join(line, " | "))
	}
	line := []string{fmt.Sprintf("  %-34s", "all (ratios: geometric mean)")}
	n := float64(len(names))
	for at := range controllers[1:] {
		s := sums[at]
		line = append(line, fmt.Sprintf("x%5.2f %+8.3f x%6.2f x%5.2f ", math.Exp(s[0]/n), s[1]/n, math.Exp(s[2]/n), math.Exp(s[3]/n)))
	}
	fmt.Println(strings.Join(line, " | "))
}
