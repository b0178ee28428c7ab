package main

import (
	"fmt"
	"math"
)

// setting is what KEDA and the HPA are told. Times are seconds.
type setting struct {
	Lag    float64 // the lag for one pod, as seconds of a pod's work
	Rate   float64 // the share of what a pod can do that one gets of the arrivals; 0: no such trigger
	Window float64 // over which arrivals are measured
	Down   float64 // stabilisation of lower sizes
	Plain  bool    // KEDA's defaults: no behaviour, 10 records of lag
}

// kedaLag is the lag that KEDA publishes: no more than the partitions can use, by an integer division.
func kedaLag(lag int64, threshold int64, partitions int) float64 {
	if lag/threshold > int64(partitions) {
		lag = int64(partitions) * threshold
	}
	return math.Max(0, float64(lag))
}

// proposal is what the HPA makes of one metric of type AverageValue.
func proposal(metric, threshold float64, size int) int {
	if ratio := metric / (threshold * float64(size)); ratio >= 0.9 && ratio <= 1.1 {
		return size
	}
	return int(math.Ceil(metric/threshold - 1e-9))
}

type said struct {
	at    float64
	value int
}

// hpa is what the HPA remembers.
type hpa struct {
	min, max  int
	behaviour bool
	down      float64
	said      []said // raw recommendations
	up, lower []said // changes
}

// decide is one sync: raw is the highest proposal.
func (h *hpa) decide(at float64, size, raw int) int {
	if size > h.max {
		return h.max
	}
	if size < h.min {
		return h.min
	}
	if len(h.said) == 0 {
		h.said = append(h.said, said{at, size})
	}
	window := 300.0
	if h.behaviour {
		window = h.down
	}
	highest := raw
	kept := h.said[:0]
	for _, one := range h.said {
		if one.at > at-math.Max(window, 300) {
			kept = append(kept, one)
			if one.at > at-window {
				highest = max(highest, one.value)
			}
		}
	}
	h.said = append(kept, said{at, raw})
	if !h.behaviour {
		return max(h.min, min(highest, min(h.max, max(2*size, 4))))
	}
	want := size
	if want < raw { // no window for more pods: the lowest is the last one
		want = raw
	}
	if want > highest {
		want = highest
	}
	base := size - sum(h.up, at-15) + sum(h.lower, at-15)
	switch {
	case want > size:
		limit := max(base+4, 2*base)
		want = min(want, min(h.max, max(limit, size)))
		h.up = append(recent(h.up, at), said{at, want - size})
	case want < size: // everything within 15 s
		want = max(want, h.min)
		h.lower = append(recent(h.lower, at), said{at, size - want})
	}
	return want
}

func sum(changes []said, since float64) (total int) {
	for _, one := range changes {
		if one.at > since {
			total += one.value
		}
	}
	return total
}

func recent(changes []said, at float64) []said {
	for len(changes) > 0 && changes[0].at <= at-60 {
		changes = changes[1:]
	}
	return changes
}

// keda is both clocks: KEDA's own, which goes from and to zero, and the HPA's.
type keda struct {
	setting
	hpa        hpa
	lag        int64   // threshold, records
	rate       float64 // threshold, records per second
	sync, poll float64
	active     float64
	ends       []point
}

type point struct{ at, end float64 }

func newKeda(w *world, s setting) *keda {
	phase := newChance(w.seed, 5)
	each := float64(w.Concurrency) / w.Service
	k := &keda{setting: s, lag: int64(math.Max(1, math.Round(s.Lag*each))), rate: s.Rate * each,
		sync: 15 * phase.Float64(), poll: 30 * phase.Float64(),
		hpa: hpa{min: max(1, w.Min), max: w.Max, behaviour: !s.Plain, down: s.Down}}
	if s.Plain {
		k.lag = 10
	}
	return k
}

func (k *keda) act(w *world) (int, string) {
	size, why := w.replicas, ""
	ends := float64(w.figures.arrived)
	k.ends = append(k.ends, point{w.now, ends})
	for len(k.ends) > 1 && k.ends[1].at <= w.now-k.Window {
		k.ends = k.ends[1:]
	}
	if w.now >= k.poll {
		k.poll += 30
		switch {
		case w.lag() > 0:
			k.active = w.now
			if size == 0 {
				size, why = max(w.Min, 1), "active"
			}
		case w.Min == 0 && size > 0 && k.active+300 < w.now:
			size, why = 0, "cooldown is over"
		}
	}
	if w.now >= k.sync && size == w.replicas {
		k.sync += 15
		if size > 0 {
			lag := kedaLag(w.lag(), k.lag, w.Partitions)
			raw := proposal(lag, float64(k.lag), size)
			rate := 0.0
			if first := k.ends[0]; k.rate > 0 && w.now > first.at {
				rate = (ends - first.end) / (w.now - first.at)
				raw = max(raw, proposal(rate, k.rate, size))
			}
			size = k.hpa.decide(w.now, size, raw)
			why = fmt.Sprintf("lag %.0f of %d, rate %.2f of %.2f: %d", lag, k.lag, rate, k.rate, raw)
		}
	}
	return size, why
}

func (k *keda) end() error { return nil }

// oracle knows what will come: the least size that carries the most of the time until new pods would be there,
// and what waits; it lowers only what was not needed for five minutes.
type oracle struct {
	next float64
	said []said
}

func (o *oracle) act(w *world) (int, string) {
	if w.now < o.next {
		return w.replicas, ""
	}
	o.next = w.now + 15
	each := float64(w.Concurrency) / w.Service
	if w.Speed != nil {
		each *= w.Speed(w.now)
	}
	most, ahead := 0.0, 1.6*w.Start+w.Pause+15
	for at := w.now; at <= w.now+ahead; at += 5 {
		most = math.Max(most, w.Rate(at))
	}
	batch := 0.0
	if w.Batches != nil {
		batch = float64(w.Batches(w.now, w.now+ahead))
	}
	need := most/each/0.85 + (batch+float64(w.lag()))/each/(0.4*w.Promise)
	size := o.useful(w, need)
	if w.Min == 0 && most < 1e-9 && batch == 0 && w.lag() == 0 {
		size = 0
	}
	kept := o.said[:0]
	highest := size
	for _, one := range o.said {
		if one.at > w.now-300 {
			kept = append(kept, one)
			highest = max(highest, one.value)
		}
	}
	o.said = append(kept, said{w.now, size})
	return max(w.Min, min(highest, w.Max)), fmt.Sprintf("needs %.2f", need)
}

// useful is the least size whose busiest pod has few enough partitions.
func (o *oracle) useful(w *world, need float64) int {
	for size := 1; size < w.Partitions; size++ {
		each := (w.Partitions + size - 1) / size
		if float64(w.Partitions)/float64(each) >= need {
			return size
		}
	}
	return w.Partitions
}

func (o *oracle) end() error { return nil }
