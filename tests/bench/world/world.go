package main

import "math"

// step is how long, in seconds, the world goes on at once. What arrives in one step is fetched at its end.
const step = 0.5

// config is what a world is made of; times are seconds.
type config struct {
	Length      float64
	Partitions  int
	Promise     float64 // maxDelay
	Min, Max    int
	Initial     int
	Concurrency int
	Service     float64 // a record's mean time in the handler
	Sigma       float64 // of its logarithm
	Start       float64 // median from order to member of the group
	StartSigma  float64
	Spread      float64 // of the pods' speeds
	Noise       float64 // of the speed of all of them together, over minutes
	Skew        float64 // of the partitions' weights
	Pause       float64 // of a partition that moves
	Eager       bool    // all partitions pause
	Drain       float64 // the least that a pod takes to leave
	Commit      float64 // between two commits
	Tick        float64 // between two samples for Drover
	Unknown     float64 // share of ends in the samples that are not known
	StuckFrom   float64 // partition 0 does not move from here
	StuckTo     float64
	Downstream  float64 // pods' worth that what the handlers call does at once; 0: no limit
	Rate        func(at float64) float64
	Batches     func(from, to float64) int
	Speed       func(at float64) float64 // of handlers, 1 is normal; nil: always
}

// cohort is records of one partition that arrived one after another at equal distances.
type cohort struct {
	first, gap float64
	count      int
}

type partition struct {
	number      int
	weight      float64
	queue       []cohort
	head        int
	end, next   int64 // offsets: of the next to arrive, of the next to be handed over
	committed   int64
	owner       *pod
	pausedUntil float64
	stuck       bool
}

func (p *partition) waiting() bool { return p.head < len(p.queue) }

func (p *partition) push(c cohort) {
	if p.head > 256 && p.head*2 > len(p.queue) {
		p.queue = append(p.queue[:0], p.queue[p.head:]...)
		p.head = 0
	}
	p.queue = append(p.queue, c)
	p.end += int64(c.count)
}

// world is partitions, pods and time, and what was measured.
type world struct {
	config
	now        float64
	replicas   int
	pods       []*pod
	partitions []*partition
	sums       []float64 // of weights, to draw a partition
	made       int       // pods so far
	arrivals   chance
	starts     chance
	services   chance
	common     float64 // speed of all pods, as noise has it
	crowding   float64 // how much longer a record takes because of what it calls
	rebalanced float64
	figures    figures
	seed       uint64
}

func newWorld(c config, seed uint64) *world {
	w := &world{config: c, seed: seed, common: 1, crowding: 1, rebalanced: math.Inf(-1)}
	w.arrivals, w.starts, w.services = newChance(seed, 1), newChance(seed, 2), newChance(seed, 3)
	skew, total := newChance(seed, 4), 0.0
	for number := range c.Partitions {
		p := &partition{number: number, weight: skew.logNormal(1, c.Skew)}
		total += p.weight
		w.partitions = append(w.partitions, p)
	}
	sum := 0.0
	for _, p := range w.partitions {
		p.weight /= total
		sum += p.weight
		w.sums = append(w.sums, sum)
	}
	w.figures.promise = c.Promise
	w.scale(c.Initial)
	for _, p := range w.pods {
		p.created, p.ready = -60, -30
	}
	w.joinAndLeave()
	w.figures.events, w.figures.rebalances, w.figures.moved = 0, 0, 0
	for _, p := range w.partitions {
		p.pausedUntil = 0
	}
	return w
}

// advance goes on by one step.
func (w *world) advance() {
	until := w.now + step
	w.noise()
	w.joinAndLeave()
	w.partitions[0].stuck = w.now >= w.StuckFrom && w.now < w.StuckTo
	speed := w.common / w.crowding
	if w.Speed != nil {
		speed *= w.Speed(w.now)
	}
	busy := 0.0
	for _, p := range w.pods {
		if p.joined {
			busy += w.serve(p, until, w.Service/(p.speed*speed))
		}
	}
	w.crowd(busy)
	w.arrive(until)
	w.now = until
	for _, p := range w.pods {
		if p.joined && w.now >= p.commits {
			p.commits += w.Commit
			w.commit(p)
		}
	}
	w.measure()
}

// noise changes the speed of all pods together, slowly.
func (w *world) noise() {
	if w.Noise > 0 && math.Mod(w.now, 30) == 0 {
		log := 0.9*math.Log(w.common) + math.Sqrt(1-0.81)*w.Noise*w.services.NormFloat64()
		w.common = math.Exp(log)
	}
}

// crowd works out how much longer records take, because so many handlers are at work.
func (w *world) crowd(busy float64) {
	if w.Downstream > 0 {
		now := math.Max(1, busy/step/w.Downstream/float64(w.Concurrency))
		w.crowding += 0.3 * (now - w.crowding)
	}
}

// serve has a pod hand over records until then, each taking mean; it returns the time that its slots were busy.
func (w *world) serve(p *pod, until, mean float64) float64 {
	busy := 0.0
	for at := range p.slots {
		s := &p.slots[at]
		if s.of != nil {
			busy += math.Min(s.ends, until) - w.now
			if s.ends <= until {
				p.finish(s)
			}
		}
	}
	if p.leaving {
		return busy
	}
	for {
		s := p.freest()
		if s.of != nil {
			return busy
		}
		from := math.Max(s.ends, w.now)
		if from >= until {
			return busy
		}
		next := p.turn(w.now)
		if next == nil {
			return busy
		}
		busy += w.hand(p, s, next, from, until, mean)
	}
}

// hand takes records of a partition, one after another, that begin before until.
func (w *world) hand(p *pod, s *slot, of *partition, from, until, mean float64) float64 {
	c := &of.queue[of.head]
	count, each := 1, mean
	if w.Sigma > 0 {
		each = w.services.logNormalMean(mean, w.Sigma)
	} else if len(p.slots) == 1 {
		turn := math.Max(1, math.Ceil(step/4/each))
		count = int(math.Min(math.Min(turn, float64(c.count)), math.Ceil((until-from)/each)))
		count = max(count, 1)
	}
	w.figures.handled(count, from+each-c.first, each-c.gap)
	offset := of.next + int64(count) - 1
	of.next += int64(count)
	*s = slot{of: of, offset: offset, arrived: c.first + float64(count-1)*c.gap,
		ends: from + float64(count)*each, took: each}
	p.done += int64(count - 1)
	p.busy += float64(count-1) * each
	c.first += float64(count) * c.gap
	if c.count -= count; c.count == 0 {
		of.head++
	}
	busy := math.Min(s.ends, until) - from
	if s.ends <= until {
		p.finish(s)
	}
	return busy
}

// arrive lets the records of this step come.
func (w *world) arrive(until float64) {
	mean := w.Rate(w.now+step/2) * step
	if w.Batches != nil {
		if n := w.Batches(w.now, until); n > 0 {
			for at, p := range w.partitions {
				share := n/w.Partitions + b2i(at < n%w.Partitions)
				w.come(p, cohort{first: w.now, count: share})
			}
		}
	}
	if mean < float64(w.Partitions) {
		for range w.arrivals.poisson(mean) {
			p := w.partitions[w.draw()]
			w.come(p, cohort{first: w.now + step*w.arrivals.Float64(), count: 1})
		}
		return
	}
	for _, p := range w.partitions {
		if n := w.arrivals.poisson(mean * p.weight); n > 0 {
			gap := step / float64(n)
			w.come(p, cohort{first: w.now + gap*w.arrivals.Float64(), gap: gap, count: n})
		}
	}
}

func (w *world) come(p *partition, c cohort) {
	if c.count > 0 {
		p.push(c)
		w.figures.arrived += int64(c.count)
	}
}

func (w *world) draw() int {
	at, low, high := w.arrivals.Float64(), 0, len(w.sums)-1
	for low < high {
		if middle := (low + high) / 2; w.sums[middle] < at {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low
}

// oldest is how long the record has waited that is not handled and has waited longest; a partition that
// was ever stuck does not count.
func (w *world) oldest() float64 {
	first := w.now
	for _, p := range w.partitions {
		if p.waiting() && !w.aside(p) {
			first = math.Min(first, p.queue[p.head].first)
		}
	}
	for _, p := range w.pods {
		for at := range p.slots {
			if s := &p.slots[at]; s.of != nil && s.ends > w.now && !w.aside(s.of) {
				first = math.Min(first, s.arrived)
			}
		}
	}
	return w.now - first
}

func (w *world) aside(p *partition) bool {
	return p.number == 0 && w.StuckTo > 0 && w.now >= w.StuckFrom
}

func (w *world) measure() {
	f := &w.figures
	f.seconds += step
	f.podSeconds += step * float64(len(w.pods))
	f.peak = max(f.peak, len(w.pods))
	if w.oldest() > w.Promise {
		f.over += step
	}
}

// lag is what is not committed, of all partitions.
func (w *world) lag() (total int64) {
	for _, p := range w.partitions {
		total += p.end - p.committed
	}
	return total
}

func b2i(yes bool) int {
	if yes {
		return 1
	}
	return 0
}
