package main

import "math"

const (
	least = 1.0 / 128 // seconds; the histogram's first bin
	finer = 5         // bits: so many bins for each doubling
	bins  = 1024
)

// bin is that of a delay, from the bits of the number: its exponent and the beginning of what follows.
func bin(delay float64) int {
	bits := math.Float64bits(math.Max(delay, least)) >> (52 - finer)
	return min(int(bits-math.Float64bits(least)>>(52-finer)), bins-1)
}

// middle is the delay in the middle of a bin.
func middle(bin int) float64 {
	bits := (math.Float64bits(least)>>(52-finer)+uint64(bin))<<(52-finer) + 1<<(51-finer)
	return math.Float64frombits(bits)
}

// figures are what was measured of a run.
type figures struct {
	promise            float64
	seconds, over      float64
	podSeconds         float64
	arrived, done      int64
	late               int64
	rebalances, events int
	moved, peak        int
	delays             [bins]float64
}

// handled counts records, the first of which took delay from arrival to the end of its handling, each
// further one so much more.
func (f *figures) handled(count int, delay, more float64) {
	f.done += int64(count)
	last := delay + float64(count-1)*more
	switch {
	case delay > f.promise && last > f.promise:
		f.late += int64(count)
	case delay > f.promise || last > f.promise:
		within := math.Floor((f.promise-delay)/more) + 1
		if more < 0 {
			within = float64(count) - (math.Ceil((f.promise - delay) / more))
		}
		f.late += int64(float64(count) - math.Max(0, math.Min(within, float64(count))))
	}
	parts := min(count, 1+int(math.Abs(last-delay)/0.1))
	parts = min(parts, 8)
	for part := range parts {
		at := delay + (float64(part)+0.5)/float64(parts)*(last-delay)
		f.delays[bin(at)] += float64(count) / float64(parts)
	}
}

// quantile of the delays; of two that are as far, the longer.
func (f *figures) quantile(share float64) float64 {
	total, sum := 0.0, 0.0
	for _, n := range f.delays {
		total += n
	}
	for bin, n := range f.delays {
		if sum += n; n > 0 && sum >= share*total {
			return middle(bin)
		}
	}
	return 0
}

// row is the figures of a run as they are told.
type row struct {
	Scenario   string  `json:"scenario"`
	Seed       uint64  `json:"seed"`
	Controller string  `json:"controller"`
	Hours      float64 `json:"hours"`
	PodHours   float64 `json:"podHours"`
	TimeOver   float64 `json:"timeOverPercent"`
	Late       float64 `json:"recordsLatePercent"`
	P50        float64 `json:"p50"`
	P99        float64 `json:"p99"`
	P999       float64 `json:"p999"`
	Rebalances float64 `json:"rebalances"`
	Moved      float64 `json:"moved"`
	Events     float64 `json:"events"`
	Peak       float64 `json:"peak"`
	Score      float64 `json:"score"`
}

func (f *figures) row() row {
	r := row{
		Hours: f.seconds / 3600, PodHours: f.podSeconds / 3600, TimeOver: 100 * f.over / f.seconds,
		Late: 100 * float64(f.late) / math.Max(1, float64(f.done)),
		P50:  f.quantile(0.5), P99: f.quantile(0.99), P999: f.quantile(0.999),
		Rebalances: float64(f.rebalances), Moved: float64(f.moved), Events: float64(f.events), Peak: float64(f.peak),
	}
	r.Score = r.PodHours + (20*f.over+60*r.Rebalances)/3600
	return r
}
