package main

import (
	"fmt"
	"math"
	"sort"
	"strconv"
	"strings"
)

// tunedLag is on lag alone: of the settings of the second of two rounds by hand, on three real traces with one seed, the one with
// the fewest pods of those that were over 60 s for no more than 0.2 % of the time. For other promises the lag is in proportion.
func tunedLag(promise float64) setting {
	return setting{Lag: promise / 12, Down: 300, Window: 60}
}

// tunedRate is on arrivals and lag, found in the same way; it is told exactly what a pod can do.
func tunedRate(promise float64) setting {
	return setting{Rate: 0.75, Lag: promise * 7 / 60, Down: 300, Window: 60}
}

// parseSetting reads lag=8;rate=0.8;window=60;down=300.
func parseSetting(text string) (setting, error) {
	s := setting{Lag: 10, Window: 60, Down: 300}
	for _, part := range strings.FieldsFunc(text, func(c rune) bool { return c == ';' }) {
		name, value, _ := strings.Cut(part, "=")
		number, err := strconv.ParseFloat(value, 64)
		to := map[string]*float64{"lag": &s.Lag, "rate": &s.Rate, "window": &s.Window, "down": &s.Down}[name]
		if err != nil || to == nil {
			return s, fmt.Errorf("%q is no setting of KEDA", part)
		}
		*to = number
	}
	return s, nil
}

func (s setting) text() string {
	text := fmt.Sprintf("keda:lag=%g;down=%g", s.Lag, s.Down)
	if s.Rate > 0 {
		text += fmt.Sprintf(";rate=%g;window=%g", s.Rate, s.Window)
	}
	return text
}

// tuneKeda tries settings for a promise, and prints all: the best has the fewest pods of those that are over the promise
// for no more than 0.2 % of the time on average, or where none is, the best score.
func tuneKeda(picked []scenario, seeds []uint64, promise float64) {
	var lags, rates []setting
	for _, lag := range []float64{0.05, 0.1, 0.15, 0.25} {
		for _, down := range []float64{120, 300, 900} {
			lags = append(lags, setting{Lag: lag * promise, Down: down, Window: 60})
			for _, rate := range []float64{0.6, 0.7, 0.8, 0.9} {
				for _, window := range []float64{60, 120} {
					if down == 300 && lag > 0.07 {
						rates = append(rates, setting{Lag: lag * promise, Down: down, Window: window, Rate: rate})
					}
				}
			}
		}
	}
	for at := range picked {
		make := picked[at].make
		picked[at].make = func(seed uint64) (config, error) {
			c, err := make(seed)
			c.Promise, c.Length = promise, math.Min(c.Length, 24*hour)
			return c, err
		}
	}
	for _, tried := range [][]setting{lags, rates} {
		type result struct {
			name                          string
			pods, over, rebalances, score float64
		}
		var results []result
		for _, s := range tried {
			one := result{name: s.text()}
			n := 0.0
			all(picked, seeds, []string{one.name}, 1, options{}, func(r row) {
				n++
				one.pods += r.PodHours / r.Hours
				one.over += r.TimeOver
				one.rebalances += r.Rebalances / r.Hours
				one.score += r.Score / r.Hours
			})
			one.pods, one.over, one.rebalances, one.score = one.pods/n, one.over/n, one.rebalances/n, one.score/n
			results = append(results, one)
		}
		sort.Slice(results, func(a, b int) bool { return results[a].pods < results[b].pods })
		for _, one := range results {
			mark := ""
			if one.over <= 0.2 {
				mark = " *"
			}
			fmt.Printf("%-44s %6.3f pods %7.3f %% over %6.1f rebalances/h, score %.3f%s\n", one.name, one.pods, one.over,
				one.rebalances, one.score, mark)
		}
		fmt.Println()
	}
}
