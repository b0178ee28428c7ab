package main

import (
	"bufio"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
)

// trace is arrivals per second, a value from each time to the next.
type trace struct {
	times, rates []float64
	at           int
}

func readTrace(path string) (*trace, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	t := &trace{}
	lines := bufio.NewScanner(file)
	for number := 1; lines.Scan(); number++ {
		line := lines.Text()
		if line == "" || line[0] == '#' || line[0] == 't' {
			continue
		}
		time, rate, found := strings.Cut(line, ",")
		at, err := strconv.ParseFloat(time, 64)
		value, other := strconv.ParseFloat(strings.TrimSpace(rate), 64)
		if !found || err != nil || other != nil {
			return nil, fmt.Errorf("%s, line %d: %q is not t_seconds,messages_per_second", path, number, line)
		}
		t.times, t.rates = append(t.times, at), append(t.rates, value)
	}
	if len(t.times) < 2 {
		return nil, fmt.Errorf("%s has no two lines of t_seconds,messages_per_second", path)
	}
	return t, lines.Err()
}

// gap is the time between two lines.
func (t *trace) gap() float64 { return t.times[1] - t.times[0] }

func (t *trace) length() float64 { return t.times[len(t.times)-1] + t.gap() }

// rate is that of the interval within intervals of a second, between middles of longer ones a straight line.
func (t *trace) rate(at float64) float64 {
	if t.gap() > 1.5 {
		at -= t.gap() / 2
	}
	for t.at > 0 && t.times[t.at] > at {
		t.at--
	}
	for t.at+1 < len(t.times) && t.times[t.at+1] <= at {
		t.at++
	}
	if t.gap() <= 1.5 || t.at+1 >= len(t.times) || at < t.times[0] {
		return t.rates[t.at]
	}
	share := (at - t.times[t.at]) / (t.times[t.at+1] - t.times[t.at])
	return t.rates[t.at] + share*(t.rates[t.at+1]-t.rates[t.at])
}

// most is the highest mean of five minutes.
func (t *trace) most(length float64) float64 {
	highest := 0.0
	for from := 0.0; from+300 <= length; from += 60 {
		sum := 0.0
		for at := from; at < from+300; at += 5 {
			sum += (t.rate(at) + t.rate(at+2.5)) / 120
		}
		highest = math.Max(highest, sum)
	}
	return highest
}
