package main

import (
	"math"
	"testing"
)

func TestNoRecordIsLostOrHandledTwice(t *testing.T) {
	for _, name := range []string{"flash", "slow-5s", "batch", "eager", "at-once", "stuck", "downstream", "dies"} {
		picked, err := pick(name, "", "")
		if err != nil {
			t.Fatal(err)
		}
		c, err := picked[0].make(1)
		if err != nil {
			t.Fatal(err)
		}
		w := newWorld(c, 1)
		by := newKeda(w, tunedLag(c.Promise))
		for w.now < 3*hour {
			size, _ := by.act(w)
			w.scale(size)
			w.advance()
			check(t, name, w)
		}
		if w.figures.events == 0 || w.figures.rebalances == 0 {
			t.Errorf("%s: nothing changed", name)
		}
	}
}

// check is what always holds.
func check(t *testing.T, name string, w *world) {
	t.Helper()
	waiting, handed, end := int64(0), int64(0), int64(0)
	for _, p := range w.partitions {
		for _, c := range p.queue[p.head:] {
			waiting += int64(c.count)
		}
		handed += p.next
		end += p.end
		if p.committed > p.next || p.next > p.end {
			t.Fatalf("%s at %g: partition %d is committed to %d, handed over to %d, ends at %d", name, w.now, p.number,
				p.committed, p.next, p.end)
		}
	}
	done, hands := int64(0), int64(0)
	owners := map[*partition]int{}
	for _, p := range w.pods {
		done += p.done
		for at := range p.slots {
			hands += int64(b2i(p.slots[at].of != nil))
		}
		for _, of := range p.partitions {
			owners[of]++
			if owners[of] > 1 || of.owner != p {
				t.Fatalf("%s at %g: partition %d has two owners", name, w.now, of.number)
			}
		}
	}
	if waiting+handed != end || end != w.figures.arrived || handed != w.figures.done || done+hands > handed {
		t.Fatalf("%s at %g: %d wait, %d were handed over, %d arrived, %d done", name, w.now, waiting, handed, end, done)
	}
}

func TestDelaysAreExact(t *testing.T) {
	f := figures{promise: 10}
	f.handled(10, 6, 1) // 6, 7, … 15
	f.handled(10, 15, -1)
	if f.late != 10 || f.done != 20 {
		t.Errorf("%d of %d late", f.late, f.done)
	}
	for _, delay := range []float64{0.01, 0.5, 1, 60, 7200} {
		if got := middle(bin(delay)); math.Abs(got/delay-1) > 0.02 {
			t.Errorf("%g is told as %g", delay, got)
		}
	}
}

func TestThePartitionsOfAPodThatLeftAreSharedOut(t *testing.T) {
	c := usual()
	c.Initial, c.Rate = 5, func(float64) float64 { return 100 }
	w := newWorld(c, 1)
	for _, size := range []int{5, 2, 7, 48, 1, 3} {
		w.scale(size)
		for until := w.now + 200; w.now < until; {
			w.advance()
		}
		least, most := c.Partitions, 0
		for _, p := range w.pods {
			least, most = min(least, len(p.partitions)), max(most, len(p.partitions))
		}
		if len(w.pods) != size || most-least > 1 || least < 48/size {
			t.Errorf("of %d pods one has %d partitions, one %d", size, least, most)
		}
	}
}

// The examples that were worked out by hand: a huge lag, from one pod.
func TestTheHpaRampsUp(t *testing.T) {
	for _, one := range []struct {
		behaviour bool
		sizes     []int
	}{{false, []int{4, 8, 16, 32, 64, 100, 100}}, {true, []int{5, 10, 20, 40, 80, 100, 100}}} {
		h := hpa{min: 1, max: 100, behaviour: one.behaviour, down: 300}
		size := 1
		for sync, want := range one.sizes {
			metric := kedaLag(1_000_000, 10, 100)
			if size = h.decide(float64(sync*15), size, proposal(metric, 10, size)); size != want {
				t.Errorf("behaviour %t, sync %d: %d instead of %d", one.behaviour, sync, size, want)
			}
		}
	}
}

func TestTheHpaIsStuckBelowTheCapAndMayExceedIt(t *testing.T) {
	// From P/1.1 pods on the capped lag is within the tolerance, however large it is.
	for _, one := range []struct{ partitions, below, stuck int }{{64, 58, 59}, {100, 90, 91}, {24, 21, 22}} {
		metric := kedaLag(1_000_000, 10, one.partitions)
		if size := proposal(metric, 10, one.stuck); size != one.stuck {
			t.Errorf("%d partitions: %d pods become %d", one.partitions, one.stuck, size)
		}
		if size := proposal(metric, 10, one.below); size != one.partitions {
			t.Errorf("%d partitions: %d pods become %d", one.partitions, one.below, size)
		}
	}
	// The division is one of integers, so a lag of 8 × 10 + 9 is not capped, and rounded up.
	if size := proposal(kedaLag(89, 10, 8), 10, 4); size != 9 {
		t.Errorf("8 partitions have %d pods", size)
	}
}

func TestTheHighestOfTheWindowHoldsTheSize(t *testing.T) {
	h := hpa{min: 1, max: 100, behaviour: true, down: 300}
	size := 10
	for at := 0.0; at < 600; at += 15 {
		raw := 2
		if at == 0 {
			raw = 10
		}
		size = h.decide(at, size, raw)
		if want := 10 - 8*b2i(at >= 300); size != want {
			t.Fatalf("at %g: %d instead of %d", at, size, want)
		}
	}
}

func TestKedaGoesToZeroAfterTheCooldownAndWakes(t *testing.T) {
	c := usual()
	c.Min, c.Rate = 0, func(at float64) float64 { return 10 * float64(b2i(at < 100 || at > 1000)) }
	w := newWorld(c, 1)
	k := newKeda(w, tunedLag(60))
	zero, woke := 0.0, 0.0
	for w.now < 1100 {
		size, _ := k.act(w)
		if size == 0 && w.replicas > 0 {
			zero = w.now
		}
		if size > 0 && w.replicas == 0 {
			woke = w.now
		}
		w.scale(size)
		w.advance()
	}
	if zero < 370 || zero > 435 || woke < 1000 || woke > 1031 {
		t.Errorf("zero at %g, awake at %g", zero, woke)
	}
}

func TestTheAnswerIsRead(t *testing.T) {
	size, why, err := read([]byte(`{"at":5.0,"replicas":12,"why":[{"code":"Steady","message":"so"}]}` + "\n"))
	if size != 12 || err != nil || why != `[{"code":"Steady","message":"so"}]}` {
		t.Errorf("%d %q %v", size, why, err)
	}
	if _, _, err := read([]byte("what?")); err == nil {
		t.Error("no answer is taken for one")
	}
}

func TestAllThePartsOfAWorldAreOfItsSeed(t *testing.T) {
	rows := map[uint64][]row{}
	for _, seed := range []uint64{1, 1, 2} {
		picked, _ := pick("promise-15s", "", "")
		r, err := run(picked[0], seed, "keda-rate", options{})
		if err != nil {
			t.Fatal(err)
		}
		rows[seed] = append(rows[seed], r)
	}
	if rows[1][0] != rows[1][1] || rows[1][0].PodHours == rows[2][0].PodHours {
		t.Error(rows)
	}
}
