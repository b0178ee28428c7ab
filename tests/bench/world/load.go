package main

import (
	"math"
	"path/filepath"
	"sort"
	"strings"
)

const hour = 3600.0

// usual is the world that scenarios are told apart from: six pods' worth of 50 records per second each at most times.
func usual() config {
	return config{
		Length: 12 * hour, Partitions: 48, Promise: 60, Min: 1, Max: 48, Initial: 2, Concurrency: 1, Service: 0.02,
		Start: 30, StartSigma: 0.25, Spread: 0.08, Noise: 0.05, Skew: 0.25, Pause: 5, Drain: 3, Commit: 1, Tick: 5,
	}
}

type scenario struct {
	name  string
	about string
	make  func(seed uint64) (config, error)
}

// wave goes from low to high and back once in a period, and begins low.
func wave(at, low, high, period float64) float64 {
	return low + (high-low)*(1-math.Cos(2*math.Pi*at/period))/2
}

// wobble is a factor about 1 that changes slowly: a new value each so many seconds, between them a line.
func wobble(seed uint64, sigma, each float64) func(at float64) float64 {
	draw := newChance(seed, 20)
	values := []float64{0}
	return func(at float64) float64 {
		step := at / each
		for len(values) < int(step)+2 {
			last := values[len(values)-1]
			values = append(values, 0.8*last+0.6*sigma*draw.NormFloat64())
		}
		low := int(step)
		share := step - float64(low)
		return math.Exp(values[low]*(1-share) + values[low+1]*share)
	}
}

// bursts is a factor: now and then, every so many seconds on average, more for some minutes.
func bursts(seed uint64, every, length float64) func(at float64) float64 {
	draw := newChance(seed, 21)
	type burst struct{ from, to, times float64 }
	var all []burst
	for at := 0.0; at < 24*hour; {
		at += every * draw.ExpFloat64()
		all = append(all, burst{at, at + draw.logNormal(length, 0.5), 1.5 + 1.5*draw.Float64()})
	}
	return func(at float64) float64 {
		first := sort.Search(len(all), func(i int) bool { return all[i].from > at })
		factor := 1.0
		for i := max(0, first-4); i < first; i++ {
			if at < all[i].to {
				factor = math.Max(factor, all[i].times)
			}
		}
		return factor
	}
}

// mixed is what worlds are tried with that differ in something else: a wave, noise, and bursts.
func mixed(seed uint64, pods float64, c *config) {
	noise, more := wobble(seed, 0.1, 60), bursts(seed, hour, 300)
	each := float64(c.Concurrency) / c.Service
	c.Rate = func(at float64) float64 {
		return each * wave(at, 0.1*pods, pods, 6*hour) * noise(at) * more(at)
	}
}

// made is a scenario of the usual world with a load of its own.
func made(name, about string, change func(c *config, seed uint64)) scenario {
	return scenario{name, about, func(seed uint64) (config, error) {
		c := usual()
		change(&c, seed)
		if c.Rate == nil {
			mixed(seed, 8, &c)
		}
		return c, nil
	}}
}

func onOff(seconds float64) func(c *config, seed uint64) {
	return func(c *config, seed uint64) {
		c.Length = 6 * hour
		c.Rate = func(at float64) float64 {
			if math.Mod(at, 2*seconds) < seconds {
				return 400
			}
			return 5
		}
	}
}

func slow(service, sigma, promise float64) func(c *config, seed uint64) {
	return func(c *config, seed uint64) {
		noise := wobble(seed, 0.1, 120)
		c.Service, c.Sigma, c.Promise = service, sigma, promise
		c.Rate = func(at float64) float64 { return wave(at, 0.7, 6, 6*hour) / service * noise(at) }
	}
}

func scenarios() []scenario {
	return []scenario{
		made("constant", "5.3 pods' worth, always", func(c *config, _ uint64) { c.Rate = func(float64) float64 { return 265 } }),
		made("daily", "a wave of a day from 1 to 8 pods' worth, with noise", func(c *config, seed uint64) {
			noise := wobble(seed, 0.15, 60)
			c.Length = 24 * hour
			c.Rate = func(at float64) float64 { return wave(at, 50, 400, 24*hour) * noise(at) }
		}),
		made("onoff-40s", "40 s of 8 pods' worth, 40 s of next to nothing", onOff(40)),
		made("onoff-2m", "the same, 2 min each", onOff(120)),
		made("onoff-5m", "the same, 5 min each", onOff(300)),
		made("flash", "half a pod's worth, and 20 times as much for 20 min every 2 h", func(c *config, _ uint64) {
			c.Rate = func(at float64) float64 {
				if m := math.Mod(at, 2*hour); m > hour && m < hour+1200 {
					return 500
				}
				return 25
			}
		}),
		made("ramp", "from half a pod's worth to ten in 2 h, an hour there, and back", func(c *config, _ uint64) {
			c.Length = 7 * hour
			c.Rate = func(at float64) float64 {
				return 25 + 475*math.Max(0, math.Min(1, math.Min((at-hour)/(2*hour), (6*hour-at)/(2*hour))))
			}
		}),
		made("slow-0.5s", "half a second a record, 0.7 to 6 pods' worth", slow(0.5, 0.5, 60)),
		made("slow-5s", "five seconds a record", slow(5, 0.5, 60)),
		made("slow-30s", "thirty seconds a record, two minutes promised", slow(30, 0.3, 120)),
		made("batch", "100,000 records of 5 ms at once each hour, and few between", func(c *config, _ uint64) {
			c.Service = 0.005
			c.Rate = func(float64) float64 { return 20 }
			c.Batches = func(from, to float64) int {
				if math.Floor((from-1800)/hour) != math.Floor((to-1800)/hour) {
					return 100000
				}
				return 0
			}
		}),
		made("slower", "handlers do 40 % less from half-way on", func(c *config, _ uint64) {
			c.Speed = func(at float64) float64 {
				if at > 6*hour {
					return 0.6
				}
				return 1
			}
		}),
		made("faster", "handlers do twice as much from half-way on", func(c *config, _ uint64) {
			c.Speed = func(at float64) float64 {
				if at > 6*hour {
					return 2
				}
				return 1
			}
		}),
		made("mixed", "a wave of 6 h, noise, and bursts; the same in other worlds below", func(*config, uint64) {}),
		made("start-10s", "pods start in 10 s", func(c *config, _ uint64) { c.Start = 10 }),
		made("start-60s", "in 60 s", func(c *config, _ uint64) { c.Start = 60 }),
		made("start-120s", "in 120 s", func(c *config, _ uint64) { c.Start = 120 }),
		made("promise-5s", "5 s promised", func(c *config, _ uint64) { c.Promise = 5 }),
		made("promise-15s", "15 s", func(c *config, _ uint64) { c.Promise = 15 }),
		made("promise-300s", "300 s", func(c *config, _ uint64) { c.Promise = 300 }),
		made("parts-12", "12 partitions, half the load", func(c *config, seed uint64) {
			c.Partitions, c.Max = 12, 12
			mixed(seed, 4, c)
		}),
		made("parts-200", "200 partitions", func(c *config, _ uint64) { c.Partitions, c.Max = 200, 200 }),
		made("eager", "all partitions pause, 10 s", func(c *config, _ uint64) { c.Eager, c.Pause = true, 10 }),
		made("spread", "pods of unequal speed, 20 %", func(c *config, _ uint64) { c.Spread = 0.2 }),
		made("skew", "partitions of unequal weight, 0.6", func(c *config, _ uint64) { c.Skew = 0.6 }),
		made("at-once", "eight records at once in a pod, each a second", func(c *config, _ uint64) {
			c.Concurrency, c.Service, c.Sigma = 8, 1, 0.5
		}),
		made("tick-15s", "Drover looks every 15 s", func(c *config, _ uint64) { c.Tick = 15 }),
		made("unknown", "one end in 500 is not known", func(c *config, _ uint64) { c.Unknown = 0.002 }),
		made("stuck", "one partition stuck for two hours", func(c *config, _ uint64) { c.StuckFrom, c.StuckTo = 3*hour, 5*hour }),
		made("downstream", "what handlers call does four pods' worth and no more", func(c *config, seed uint64) {
			noise := wobble(seed, 0.1, 60)
			c.Downstream = 4
			c.Rate = func(at float64) float64 { return wave(at, 50, 250, 6*hour) * noise(at) }
		}),
		made("weeks", "two weeks of working days", func(c *config, seed uint64) {
			noise := wobble(seed, 0.1, 300)
			c.Length, c.Tick = 14*24*hour, 15
			c.Service, c.Sigma = 0.2, 0.5
			c.Rate = func(at float64) float64 {
				day := int(at/(24*hour)) % 7
				if day >= 5 {
					return 2.5 * noise(at)
				}
				return math.Max(2.5, wave(at, -20, 40, 24*hour)) * noise(at)
			}
		}),
		made("idle", "a single record every ten minutes or so; may go to zero", func(c *config, _ uint64) {
			c.Length, c.Min, c.Initial = 24*hour, 0, 0
			c.Rate = func(float64) float64 { return 1.0 / 600 }
		}),
		made("dies", "six pods' worth for an hour, nothing for one; may go to zero", func(c *config, _ uint64) {
			c.Min = 0
			c.Rate = func(at float64) float64 {
				if math.Mod(at, 2*hour) < hour {
					return 300
				}
				return 0
			}
		}),
	}
}

// traced is a scenario from a file: a pod does a tenth of its busiest five minutes.
func traced(path string) scenario {
	name := strings.TrimSuffix(filepath.Base(path), ".csv")
	return scenario{name, "a trace", func(uint64) (config, error) {
		c := usual()
		t, err := readTrace(path)
		if err != nil {
			return c, err
		}
		c.Length = math.Min(t.length(), 72*hour)
		c.Service = 10 / t.most(c.Length)
		if c.Service > 0.1 {
			c.Sigma = 0.5
		}
		c.Rate = t.rate
		return c, nil
	}}
}
