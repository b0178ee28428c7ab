// World is a world of Kafka consumers that asks `drover decide` for their number, and KEDA with the HPA beside it.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
)

type controller interface {
	// act is asked every step and says the size that it wants, and why.
	act(w *world) (int, string)
	end() error
}

type options struct {
	decide, decide2 string
	told            bool // changes and broken promises, on standard error
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "world:", err)
	os.Exit(1)
}

func (o options) controller(name string, w *world) (controller, error) {
	kind, text, _ := strings.Cut(name, ":")
	switch kind {
	case "drover":
		return newDrover(w, o.decide)
	case "drover2":
		return newDrover(w, o.decide2)
	case "keda-plain":
		return newKeda(w, setting{Plain: true, Window: 60}), nil
	case "keda-lag":
		return newKeda(w, tunedLag(w.Promise)), nil
	case "keda-rate":
		return newKeda(w, tunedRate(w.Promise)), nil
	case "keda":
		s, err := parseSetting(text)
		return newKeda(w, s), err
	case "oracle":
		return &oracle{}, nil
	case "fixed":
		size, err := strconv.Atoi(text)
		return fixed(size), err
	}
	return nil, fmt.Errorf("no controller is %q", name)
}

// fixed is a size that never changes.
type fixed int

func (f fixed) act(*world) (int, string) { return int(f), "" }
func (f fixed) end() error               { return nil }

// run plays a scenario to one controller.
func run(s scenario, seed uint64, name string, o options) (row, error) {
	c, err := s.make(seed)
	if err != nil {
		return row{}, err
	}
	w := newWorld(c, seed)
	by, err := o.controller(name, w)
	if err != nil {
		return row{}, err
	}
	over, minute := 0.0, 0.0
	for w.now < w.Length {
		size, why := by.act(w)
		if size != w.replicas {
			if o.told {
				fmt.Fprintf(os.Stderr, "%9.1f  %d -> %d  arriving %.2f/s (%.2f pods), lag %d, oldest %.1f s  %s\n", w.now,
					w.replicas, size, w.Rate(w.now), w.Rate(w.now)*w.Service/float64(w.Concurrency), w.lag(), w.oldest(), why)
			}
			w.scale(size)
		}
		before := w.figures.over
		w.advance()
		if o.told {
			if w.figures.over > before && over == 0 {
				over = w.now
				fmt.Fprintf(os.Stderr, "%9.1f  over the promise: %d of %d pods work, lag %d\n", w.now, w.working(), len(w.pods), w.lag())
			} else if w.figures.over > before && why != "" && w.now >= minute {
				minute = w.now + 60
				fmt.Fprintf(os.Stderr, "%9.1f  still over it: arriving %.2f/s, lag %d, oldest %.1f s  %s\n", w.now, w.Rate(w.now), w.lag(),
					w.oldest(), why)
			} else if w.figures.over == before && over > 0 {
				fmt.Fprintf(os.Stderr, "%9.1f  within it again, after %.1f s\n", w.now, w.now-over)
				over = 0
			}
		}
	}
	r := w.figures.row()
	r.Scenario, r.Seed, r.Controller = s.name, seed, name
	return r, by.end()
}

func (w *world) working() (n int) {
	for _, p := range w.pods {
		n += b2i(p.joined && !p.leaving)
	}
	return n
}

// all plays everything, so many at a time, and tells each as it ends.
func all(picked []scenario, seeds []uint64, controllers []string, jobs int, o options, ended func(row)) {
	type task struct {
		s    scenario
		seed uint64
		name string
	}
	tasks := make(chan task)
	var workers sync.WaitGroup
	var lock sync.Mutex
	for range jobs {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for t := range tasks {
				r, err := run(t.s, t.seed, t.name, o)
				if err != nil {
					fail(fmt.Errorf("%s, seed %d, %s: %w", t.s.name, t.seed, t.name, err))
				}
				lock.Lock()
				ended(r)
				lock.Unlock()
			}
		}()
	}
	for _, s := range picked {
		for _, seed := range seeds {
			for _, name := range controllers {
				tasks <- task{s, seed, name}
			}
		}
	}
	close(tasks)
	workers.Wait()
}

// pick is the scenarios that are asked for: by name, by the beginning of it, or all; and traces.
func pick(names, traces, file string) ([]scenario, error) {
	known := scenarios()
	if traces != "" {
		found, err := filepath.Glob(filepath.Join(traces, "*.csv"))
		if err != nil || len(found) == 0 {
			return nil, fmt.Errorf("no .csv file in %s", traces)
		}
		for _, path := range found {
			known = append(known, traced(path))
		}
	}
	var picked []scenario
	if file != "" {
		picked = append(picked, traced(file))
	}
	if names == "all" {
		return append(picked, known...), nil
	}
	for _, name := range strings.FieldsFunc(names, func(c rune) bool { return c == ',' }) {
		before := len(picked)
		for _, s := range known {
			if s.name == name || strings.HasSuffix(name, "*") && strings.HasPrefix(s.name, name[:len(name)-1]) {
				picked = append(picked, s)
			}
		}
		if len(picked) == before {
			return nil, fmt.Errorf("no scenario is %q; -list names them", name)
		}
	}
	return picked, nil
}

// changed is scenarios with another promise and another start, where these are not 0.
func changed(picked []scenario, promise, start float64) []scenario {
	for at := range picked {
		make := picked[at].make
		picked[at].make = func(seed uint64) (config, error) {
			c, err := make(seed)
			if promise > 0 {
				c.Promise = promise
			}
			if start > 0 {
				c.Start = start
			}
			return c, err
		}
	}
	return picked
}

func main() {
	var o options
	names := flag.String("scenario", "", "names, with commas between; a * at the end stands for any ending (default all, or none beside -trace)")
	seeds := flag.String("seeds", "1,2", "numbers, with commas between")
	controllers := flag.String("controllers", "drover,keda-lag,keda-rate,oracle",
		"of drover, drover2, keda-lag, keda-rate, keda-plain, keda:lag=8;down=300;rate=0.8;window=60, oracle, fixed:N")
	flag.StringVar(&o.decide, "decide", "drover", "the program whose `decide` is asked")
	flag.StringVar(&o.decide2, "decide2", "", "another one, for drover2")
	traces := flag.String("traces", "", "a folder of .csv files, each a scenario")
	file := flag.String("trace", "", "one .csv file as a scenario")
	asJSON := flag.Bool("json", false, "a line of JSON for each run, and no tables")
	jobs := flag.Int("jobs", 1, "runs at a time")
	list := flag.Bool("list", false, "name scenarios, and stop")
	tune := flag.Float64("tune", 0, "try settings of KEDA on -traces for this promise in seconds, and stop")
	promise := flag.Float64("promise", 0, "seconds promised, whatever the scenario says")
	start := flag.Float64("start", 0, "seconds that a pod takes to start, whatever the scenario says")
	flag.BoolVar(&o.told, "told", false, "tell each change of size and each broken promise on standard error")
	flag.Parse()
	if *names == "" && *file == "" {
		*names = "all"
	}
	picked, err := pick(*names, *traces, *file)
	if err != nil {
		fail(err)
	}
	picked = changed(picked, *promise, *start)
	if *list {
		for _, s := range picked {
			fmt.Printf("%-14s %s\n", s.name, s.about)
		}
		return
	}
	var numbers []uint64
	for _, text := range strings.Split(*seeds, ",") {
		number, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			fail(fmt.Errorf("-seeds: %w", err))
		}
		numbers = append(numbers, number)
	}
	if *tune > 0 {
		tuneKeda(picked, numbers, *tune)
		return
	}
	var rows []row
	wanted := strings.Split(*controllers, ",")
	all(picked, numbers, wanted, *jobs, o, func(r row) {
		rows = append(rows, r)
		if *asJSON {
			line, _ := json.Marshal(r)
			fmt.Println(string(line))
		} else if len(rows)%(len(numbers)*len(wanted)) == 0 && *jobs == 1 {
			tell(rows[len(rows)-len(numbers)*len(wanted):], wanted)
		}
	})
	if *asJSON {
		return
	}
	if *jobs > 1 {
		for _, s := range picked {
			tell(slices.DeleteFunc(slices.Clone(rows), func(r row) bool { return r.Scenario != s.name }), wanted)
		}
	}
	ratios(rows, wanted)
}
