package main

import (
	"fmt"
	"math"
	"sort"
)

// slot is a place in a pod where one record at a time is in the handler.
type slot struct {
	of      *partition // nil: free
	offset  int64
	arrived float64
	ends    float64
	took    float64
}

type pod struct {
	number     int
	name       string
	created    float64
	ready      float64 // when it becomes a member
	joined     bool
	leaving    bool
	leavesAt   float64
	speed      float64
	partitions []*partition
	turnAt     int
	slots      []slot
	busy       float64 // time in the handler, of records that are done
	done       int64
	commits    float64 // when it commits next
}

func (p *pod) finish(s *slot) {
	p.busy += s.took
	p.done++
	s.of = nil
}

// freest is the slot that is free first.
func (p *pod) freest() *slot {
	best := &p.slots[0]
	for at := range p.slots {
		s := &p.slots[at]
		if (s.of == nil) != (best.of == nil) {
			if s.of == nil {
				best = s
			}
		} else if s.ends < best.ends {
			best = s
		}
	}
	return best
}

// turn is the partition whose records are next.
func (p *pod) turn(now float64) *partition {
	for range p.partitions {
		p.turnAt++
		if p.turnAt >= len(p.partitions) {
			p.turnAt = 0
		}
		next := p.partitions[p.turnAt]
		if next.waiting() && !next.stuck && next.pausedUntil <= now {
			return next
		}
	}
	return nil
}

// inHand is the first offset of a partition that a pod has not finished, and when it will have.
func (p *pod) inHand(of *partition, now float64) (offset int64, ends float64) {
	offset = of.next
	for at := range p.slots {
		if s := &p.slots[at]; s.of == of && s.ends > now {
			offset, ends = min(offset, s.offset), math.Max(ends, s.ends)
		}
	}
	return offset, ends
}

func (w *world) commit(p *pod) {
	for _, of := range p.partitions {
		if of.pausedUntil <= w.now {
			of.committed, _ = p.inHand(of, w.now)
		}
	}
}

// scale makes the fleet so large: pods are made at once, and leave not ready ones first, then the youngest.
func (w *world) scale(size int) {
	size = max(0, min(size, w.Max))
	if size != w.replicas {
		w.figures.events++
	}
	w.replicas = size
	var staying []*pod
	for _, p := range w.pods {
		if !p.leaving {
			staying = append(staying, p)
		}
	}
	for len(staying) < size {
		number := w.made
		w.made++
		own := newChance(w.seed, 1000+uint64(number))
		p := &pod{
			number: number, name: fmt.Sprintf("p%d", number), created: w.now,
			ready: w.now + own.logNormal(w.Start, w.StartSigma), speed: own.logNormal(1, w.Spread),
			slots: make([]slot, w.Concurrency), commits: w.now + w.Commit*own.Float64(),
		}
		w.pods = append(w.pods, p)
		staying = append(staying, p)
	}
	sort.SliceStable(staying, func(a, b int) bool {
		one, other := staying[a], staying[b]
		if one.joined != other.joined {
			return !one.joined
		}
		if one.ready != other.ready {
			return one.ready > other.ready
		}
		return one.number > other.number
	})
	for _, p := range staying[:len(staying)-size] {
		p.leaving = true
		if !p.joined {
			p.leavesAt = w.now
			continue
		}
		p.leavesAt = w.now + w.Drain
		for _, s := range p.slots {
			if s.of != nil {
				p.leavesAt = math.Max(p.leavesAt, s.ends)
			}
		}
	}
}

// joinAndLeave lets pods become members that are ready, and go that have finished.
func (w *world) joinAndLeave() {
	changed := false
	staying := w.pods[:0]
	for _, p := range w.pods {
		if p.leaving && p.leavesAt <= w.now {
			w.commit(p)
			for _, of := range p.partitions {
				of.owner = nil
			}
			changed = changed || p.joined
			continue
		}
		if !p.joined && !p.leaving && p.ready <= w.now {
			p.joined, changed = true, true
			p.commits = math.Max(p.commits, w.now)
		}
		staying = append(staying, p)
	}
	for at := len(staying); at < len(w.pods); at++ {
		w.pods[at] = nil
	}
	w.pods = staying
	if changed {
		w.rebalance()
	}
}

// rebalance shares partitions out by count, each staying where it is if it can. What moves pauses, in an eager
// group everything.
func (w *world) rebalance() {
	if w.now >= w.rebalanced+w.Pause {
		w.figures.rebalances++
		w.rebalanced = w.now
	}
	var members []*pod
	free, kept := []*partition{}, 0
	for _, p := range w.pods {
		if p.leaving {
			kept += len(p.partitions)
		} else if p.joined {
			members = append(members, p)
		}
	}
	for _, p := range w.partitions {
		if p.owner == nil {
			free = append(free, p)
		}
	}
	if len(members) > 0 {
		each, extra := (w.Partitions-kept)/len(members), (w.Partitions-kept)%len(members)
		// Those that have most may keep one more.
		sort.SliceStable(members, func(a, b int) bool { return len(members[a].partitions) > len(members[b].partitions) })
		for at, p := range members {
			for quota := each + b2i(at < extra); len(p.partitions) > quota; {
				last := len(p.partitions) - 1
				free = append(free, p.partitions[last])
				w.revoke(p, p.partitions[last])
				p.partitions = p.partitions[:last]
			}
		}
		for at, p := range members {
			for quota := each + b2i(at < extra); len(p.partitions) < quota; free = free[1:] {
				of := free[0]
				of.owner = p
				of.pausedUntil = math.Max(of.pausedUntil, w.now+w.Pause)
				p.partitions = append(p.partitions, of)
				w.figures.moved++
			}
		}
	}
	if w.Eager {
		for _, p := range members {
			for _, of := range p.partitions {
				w.revoke(p, of)
				of.pausedUntil = math.Max(of.pausedUntil, w.now+w.Pause)
			}
		}
	}
}

// revoke takes a partition from a pod, which finishes what it has in hand.
func (w *world) revoke(p *pod, of *partition) {
	offset, ends := p.inHand(of, w.now)
	if of.pausedUntil <= w.now {
		of.committed = offset
	}
	of.owner = nil
	if w.Eager {
		of.owner = p
	}
	of.pausedUntil = math.Max(of.pausedUntil, ends)
}
